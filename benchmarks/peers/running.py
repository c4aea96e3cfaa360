"""Starts a peer, makes sure that it computes the same, and leaves nothing of it behind."""

import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
from daemon import free_port
from peers.contest import Contestant, DidNotStart, Endpoint
from peers.install import LAST_LINES, install
from peers.payload import row
from peers.peer import HERE, Peer, Setting
from peers.work import Orders

from clipper.deploy.program import ONE_THREAD
from clipper.deploy.reaper import MARK_VARIABLE, kill_marked

START_S = 90.0
STOP_S = 10.0
CHECKED_ANSWERS = 3
TOLERANCE = 1e-4


def contestant(peer: Peer, setting: Setting, classifier: Path) -> Contestant:
    """A peer with one of its settings."""

    @contextlib.contextmanager
    def serve(model: str, slo_s: float) -> Iterator[Endpoint]:
        install(peer)
        orders = Orders(
            model=model,
            classifier=classifier,
            port=free_port(),
            max_batch_size=setting.max_batch_size,
            wait_ms=setting.wait_ms,
            slo_s=slo_s,
            batched=setting.batched,
            apart=setting.apart,
        )
        endpoint = Endpoint(orders.port, peer.payload(model, setting), peer.output)
        with running(peer, orders) as (process, log):
            await_answer(endpoint, process, log)
            check(endpoint, orders)
            yield endpoint

    return Contestant(peer.name, setting.name, setting.apart, serve)


@contextlib.contextmanager
def running(peer: Peer, orders: Orders) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """Its process and its log; afterwards all that it started is gone, wherever it has gone to."""
    mark = f"bench-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="clipper-peer-") as folder:
        scratch = Path(folder)
        log = scratch / "log"
        environment = os.environ | ONE_THREAD | orders.variables() | dict(peer.variables)
        environment[MARK_VARIABLE] = mark
        environment["PYTHONPATH"] = f"{HERE.parent}:{peer.packages}"
        environment["PATH"] = f"{peer.environment / 'bin'}:{environment['PATH']}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                peer.command(orders, scratch),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=scratch,
                start_new_session=True,
            )
        try:
            yield process, log
        finally:
            stop(process, mark)


def stop(process: "subprocess.Popen[bytes]", mark: str) -> None:
    """Ask, wait, and kill whatever carries the mark."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    kill_marked(mark)
    process.wait()


def await_answer(endpoint: Endpoint, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when it answers.

    Raises:
        DidNotStart: it ended, or does not answer in time.
    """
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            endpoint.ask(0)
            return
        except (httpx.HTTPError, ValueError, LookupError) as error:
            last = error
            time.sleep(0.1)
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    state = "does not answer" if process.poll() is None else f"ended with {process.returncode}"
    raise DidNotStart("\n".join([f"it {state}: {last}", *lines]))


def check(endpoint: Endpoint, orders: Orders) -> None:
    """Make sure that it answers what the model does.

    Raises:
        DidNotStart: it does not.
    """
    model = orders.load()
    for serial in range(1, 1 + CHECKED_ANSWERS):
        inputs = np.array([row(endpoint.payload, serial, 0)], model.dtype)
        wanted, got = float(model.predict(inputs)[0]), endpoint.ask(serial)
        if abs(got - wanted) > TOLERANCE:
            raise DidNotStart(f"it answers {got} where the model says {wanted}")

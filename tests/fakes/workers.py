"""The workers of a real daemon: which there are, and a connection to each of them."""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from clipper.workers.life import IDS
from tests.fakes.clipperd import Clipperd
from tests.fakes.load import Caller
from tests.fakes.watching import until

MOST_TRIES = 400
REPLACED_S = 10.0


def worker_pids(daemon: Clipperd) -> dict[int, int]:
    """The process of each worker, by its number."""
    found = {}
    for pid in daemon.note_processes():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"clipper.workers.worker" in words:
                found[int(words[words.index(b"clipper.workers.worker") + 1])] = pid
    return found


def whose(query_id: int) -> int:
    """Two ids have the same if, and as a rule only if, one worker gave both."""
    return query_id // IDS


@contextmanager
def connections(daemon: Clipperd, app: str, workers: int) -> Iterator[list[Caller]]:
    """A kept-alive connection to each worker, found by the ids that they give."""
    found: dict[int, Caller] = {}
    with ExitStack() as stack:
        for _ in range(MOST_TRIES):
            caller = stack.enter_context(contextlib.closing(Caller(daemon.query_port)))
            found.setdefault(whose(caller.ask(app, "who are you?").body["query_id"]), caller)
            if len(found) == workers:
                break
        assert len(found) == workers, f"of {workers} workers, {len(found)} were reached"
        yield list(found.values())


def kill_worker(daemon: Clipperd, number: int = 1) -> None:
    """kill -9 a worker; returns when the daemon has noticed."""
    before = restarts(daemon)
    os.kill(worker_pids(daemon)[number], signal.SIGKILL)
    until(lambda: restarts(daemon) > before, REPLACED_S, "the loss to be noticed")


def restarts(daemon: Clipperd) -> float:
    """How many workers were started again so far."""
    return daemon.metrics("clipper_worker_restarts_total")[()]


def serving(daemon: Clipperd) -> int:
    """How many workers answer queries."""
    return int(daemon.call("GET", "/api/v1/status").json()["workers"]["serving"])


def await_workers(daemon: Clipperd, count: int) -> None:
    """Return when so many workers answer queries."""
    until(lambda: serving(daemon) == count, REPLACED_S, "as many workers")
    assert sorted(worker_pids(daemon)) == list(range(1, count + 1))

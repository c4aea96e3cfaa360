"""From the settings to the last answer: how a daemon starts, what it holds, and how it ends."""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import clipper as package
from clipper.admin.client import AdminError, ClipperConnection, ClipperRefused
from tests.fakes.clipperd import MODELS, Clipperd, clipperd, plain_environment, serve
from tests.fakes.load import Caller, load
from tests.fakes.watching import until

BAD_SETTINGS = 2

# Runs the daemon with a wall clock that is an hour off, to and fro, each time it is asked.
JUMPING_CLOCK = """
import itertools, time
offsets, real = itertools.cycle((0.0, 3600.0, -3600.0)), time.time
time.time = lambda: real() + next(offsets)
from clipper.daemon import main
main()
"""

# Runs the daemon, and writes down what it has imported when it is asked to.
TELLS_ITS_MODULES = """
import os, signal, sys
def tell(*_):
    with open(os.environ["TELL_MODULES"] + ".part", "w") as file:
        file.write("\\n".join(sys.modules))
    os.rename(file.name, os.environ["TELL_MODULES"])
signal.signal(signal.SIGUSR1, tell)
from clipper.daemon import main
main()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Clipperd]:
    """A daemon that the test starts, as it needs it."""
    one = Clipperd(tmp_path, store="memory://")
    yield one
    one.close()


def refused(folder: Path, *flags: str, **variables: str) -> str:
    """What a daemon says that does not start with these settings."""
    done = subprocess.run(
        [sys.executable, "-m", "clipper.daemon", "--data-dir", str(folder / "data"), *flags],
        env=plain_environment(folder) | variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == BAD_SETTINGS, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("flags", "variables", "said"),
    [
        (["--no-such-flag", "1"], {}, ["no-such-flag"]),
        (["--queue-limit", "-1"], {}, ["queue_limit", "-1", "at least 1"]),
        (["--read-timeout-s", "5 min"], {}, ["read_timeout_s", "5 min", "seconds"]),
        (["--query-port", "4000", "--admin-port", "4000"], {}, ["query_port", "4000"]),
        (["--store", "mysql://somewhere"], {}, ["mysql://", "sqlite:///", "redis://"]),
        (["--config", "/no/such.toml"], {}, ["/no/such.toml"]),
        ([], {"CLIPPER_QUEUE_LIMT": "5"}, ["CLIPPER_QUEUE_LIMT", "queue_limit"]),
        ([], {"CLIPPER_DRAIN_S": "soon"}, ["drain_s", "soon", "CLIPPER_DRAIN_S"]),
        (["--host", "0.0.0.0"], {}, ["0.0.0.0", "admin_token", "--insecure"]),
    ],
)
def test_settings_that_cannot_be_are_refused_with_the_key_and_a_hint(
    tmp_path: Path, flags: list[str], variables: dict[str, str], said: list[str]
) -> None:
    message = refused(tmp_path, *flags, **variables)
    for words in said:
        assert words.lower() in message.lower()
    assert len(message.splitlines()) >= 2, "the second line is the hint"


def test_a_file_of_settings_is_held_to_the_same(tmp_path: Path) -> None:
    file = tmp_path / "clipper.toml"
    file.write_text('max_body_bytez = 5\nhost = "127.0.0.1"\n')
    message = refused(tmp_path, "--config", str(file))
    assert "max_body_bytez" in message
    assert "max_body_bytes" in message


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        message = refused(tmp_path, "--query-port", port, "--admin-port", "0")
    assert port in message
    assert "--query-port" in message


def test_listening_for_everybody_needs_a_token_or_the_word_insecure(other: Clipperd) -> None:
    other.settings |= {"host": "0.0.0.0", "insecure": True}
    other.start()
    assert other.terminate() == 0
    del other.settings["insecure"]
    other.settings["admin_token"] = "secret"
    other.start()
    assert other.call("GET", "/api/v1/status").status_code == 401
    with other.connect(token="secret") as clipper:
        assert clipper.status()["ready"]


def test_an_idle_daemon_is_small(daemon: Clipperd) -> None:
    assert daemon.peak_memory_mb() < 120


def test_sigterm_under_load_drops_no_query_that_was_admitted(other: Clipperd) -> None:
    other.start()
    with other.connect() as clipper:
        serve(clipper, "drained", batch_size=4)

    def make(number: int) -> Any:
        return {"do": "sleep", "for_s": 0.05, "number": number}

    with load(other.query_port, "drained", 12, make) as seen:
        seen.await_answers(24)
        other.signal(signal.SIGTERM)
        assert other.wait(15) == 0
    assert seen.broken == 0
    assert seen.kinds() == {"model": len(seen.answers)}, seen.explanations()
    assert not other.note_processes()


def test_a_second_sigterm_ends_it_now(other: Clipperd, tmp_path: Path) -> None:
    other.start()
    with other.connect() as clipper:
        serve(clipper, "stubborn", slo_ms=60_000)
    order = {"do": "sleep", "for_s": 60, "begun": str(tmp_path / "begun")}
    with load(other.query_port, "stubborn", 1, lambda _: order) as seen:
        until((tmp_path / "begun").exists, 5, "the query")
        other.note_processes()
        other.signal(signal.SIGTERM)
        until(lambda: "Draining" in other.text(), 5, "the drain")
        other.signal(signal.SIGTERM)
        assert other.wait(2) == 128 + signal.SIGTERM
    assert seen.broken == 1
    until(lambda: not other.note_processes(), 10, "the end of the replica")


def test_sigterm_during_a_deployment_leaves_nothing_of_it(other: Clipperd) -> None:
    other.settings |= {"store": f"sqlite://{other.folder}/clipper.db"}
    other.start()
    until(other.is_ready, 10, "ready")
    caught: list[AdminError] = []

    def deploy() -> None:
        with other.connect() as clipper:
            path = f"{MODELS}:SlowToLoad"
            try:
                clipper.deploy_model("slow", 1, "json", path, framework="python")
            except AdminError as error:
                caught.append(error)

    admin = threading.Thread(target=deploy)
    admin.start()
    until(lambda: other.call("GET", "/api/v1/deployments").json(), 10, "the deployment")
    other.note_processes()
    began = time.monotonic()
    assert other.terminate() == 0
    assert time.monotonic() - began < 15
    admin.join()
    assert len(caught) == 1
    assert isinstance(caught[0], ClipperRefused), caught
    assert caught[0].message == "slow:1 was not deployed: the daemon is being stopped."
    assert not other.note_processes()
    other.start()
    until(other.is_ready, 10, "ready")
    assert other.call("GET", "/api/v1/models").json() == []


def test_without_file_descriptors_who_is_connected_is_served_and_the_rest_waits(
    other: Clipperd,
) -> None:
    other.start()
    with other.connect() as clipper, contextlib.ExitStack() as held:
        serve(clipper, "crowded")
        caller = held.enter_context(contextlib.closing(Caller(other.query_port)))
        assert caller.ask("crowded", "before").kind == "model"
        files = len(os.listdir(f"/proc/{other.pid}/fd"))
        resource.prlimit(other.pid, resource.RLIMIT_NOFILE, (files + 10, 4096))
        for _ in range(50):
            address = ("127.0.0.1", other.query_port)
            held.enter_context(socket.create_connection(address, timeout=5))
        used_s, began = other.cpu_s(), time.monotonic()
        for number in range(20):
            assert caller.ask("crowded", number).kind == "model"
            time.sleep(0.05)
        assert other.cpu_s() - used_s < 0.5 * (time.monotonic() - began), "it does not spin"
    until(other.is_ready, 5, "a new connection's answer")
    assert len(other.text()) < 4000


def test_a_wall_clock_that_jumps_changes_nothing(other: Clipperd) -> None:
    other.program = [sys.executable, "-c", JUMPING_CLOCK]
    other.start()
    with other.connect() as clipper:
        serve(clipper, "timeless", slo_ms=300)
        serve(clipper, "mortal", slo_ms=300)
        with load(other.query_port, "timeless", callers=2) as seen:
            began = time.monotonic()
            answer = clipper.predict("mortal", {"do": "sleep", "for_s": 0.6})
            assert answer.is_default
            assert 0.28 < time.monotonic() - began < 0.8
            pid = other.replica_pid("mortal")
            os.kill(pid, signal.SIGKILL)
            until(lambda: other.replica_pid("mortal") not in (0, pid), 8, "another replica")
    assert seen.kinds() == {"model": len(seen.answers)}
    assert max(answer.took_s for answer in seen.answers) < 0.5
    assert other.terminate() == 0


def test_nothing_but_what_others_read_later_asks_the_wall_clock() -> None:
    asks = re.compile(r"\b(utc_now|time\.time|datetime\.(now|utcnow|today))\(")
    users = {
        file.relative_to(Path(package.__file__).parent).as_posix()
        for file in Path(package.__file__).parent.rglob("*.py")
        if asks.search(file.read_text())
    }
    of_others = {"frontend/listener.py", "serving/decisions.py", "serving/errands.py"}
    # How old a file is, of those that nobody needs any more, only that clock tells.
    of_files = {"deploy/log_folder.py", "deploy/packages.py"}
    assert users <= {"core/clock.py"} | of_others | of_files


def test_a_model_is_never_loaded_into_the_daemon(other: Clipperd, tmp_path: Path) -> None:
    model = tmp_path / "linear.joblib"
    joblib.dump(LinearRegression().fit(np.eye(3), np.arange(3)), model)
    told = tmp_path / "modules"
    other.program = [sys.executable, "-c", TELLS_ITS_MODULES]
    other.environment |= {"TELL_MODULES": str(told)}
    other.start()
    with other.connect() as clipper:
        clipper.register_application("linear", "doubles", "-1", 10_000_000)
        clipper.deploy_model("linear", 1, "doubles", str(model))
        clipper.link_model_to_app("linear", "linear")
        assert not clipper.predict("linear", [0, 0, 1]).is_default
    other.signal(signal.SIGUSR1)
    until(told.exists, 5, "the list of modules")
    loaded = {name.partition(".")[0] for name in told.read_text().splitlines()}
    assert {"clipper", "numpy", "grpc"} <= loaded
    foreign = {"sklearn", "joblib", "scipy", "pandas", "torch", "cloudpickle", "clipper_container"}
    assert loaded.isdisjoint(foreign)
    mapped = Path(f"/proc/{other.pid}/maps").read_text()
    assert "/sklearn/" not in mapped
    assert "/scipy/" not in mapped


def learned(clipper: ClipperConnection) -> Any:
    return clipper.get_selection_state("judged", "0")["state"]


def test_feedback_that_cannot_be_is_refused_and_teaches_nothing(tmp_path: Path) -> None:
    with clipperd(tmp_path, journal_size=64) as daemon, daemon.connect() as clipper:
        clipper.register_application(
            "judged", "json", "0", 10_000_000, selection_policy="exp3", loss="absolute"
        )
        path = f"{MODELS}:Troublemaker"
        clipper.deploy_model("echo", 1, "json", path, framework="python")
        clipper.link_model_to_app("judged", "echo")
        ids = [clipper.predict("judged", number / 100).query_id for number in range(100)]
        assert clipper.feedback("judged", 0.1, query_id=ids[-1]).learned
        before = learned(clipper)

        def told(body: str) -> httpx.Response:
            return daemon.call("POST", "/judged/feedback", content=body)

        for unknown in (ids[-1] + 1000, -1, 2**63, ids[0]):
            assert told(f'{{"query_id": {unknown}, "label": 0.5}}').status_code == 404
        for label in (
            '"a"',
            "null",
            "true",
            "[]",
            "5",
            "-1e300",
            "1e308",
            "9" * 400,
            "NaN",
            "1e999",
        ):
            for name in (f'"query_id": {ids[-2]}', '"input": 0.5'):
                response = told(f'{{{name}, "label": {label}}}')
                assert response.status_code == 400, response.text
        for body in ("{}", '{"label": 1}', '{"query_id": "x", "label": 1}', "[]", "", "null"):
            assert told(body).status_code == 400
        assert told(f'{{"query_id": {ids[-2]}, "label": 0, "context": "x"}}').status_code == 400
        assert learned(clipper) == before
        assert clipper.feedback("judged", 0.1, query_id=ids[-2]).learned
        assert not clipper.feedback("judged", 0.1, query_id=ids[-2]).learned, "told twice"

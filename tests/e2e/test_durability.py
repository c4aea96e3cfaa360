"""What outlives a daemon that is killed, and what a daemon does while its store is away."""

import os
import resource
import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from clipper.admin.client import ClipperConnection, ClipperRefused, ClipperUnreachable
from tests.fakes.clipperd import MODELS, Clipperd
from tests.fakes.load import load
from tests.fakes.needs import missing
from tests.fakes.redis_server import RedisServer
from tests.fakes.watching import until
from tests.fakes.workers import worker_pids

PATIENT_US = 5_000_000
SERVES_AGAIN_S = 15.0
GONE_S = 10.0
NOTICED_S = 10.0


both_alone_and_with_workers = pytest.mark.parametrize(
    "workers", [1, 2], ids=["alone", "two workers"]
)


class Backend(Protocol):
    """A store, and ways to take it away from a daemon that uses it."""

    url: str

    def take_away(self, daemon: Clipperd) -> None:
        """No write succeeds from now on."""

    def give_back(self, daemon: Clipperd) -> None:
        """Writes succeed again, and nothing is lost."""

    def make_newer(self) -> None:
        """Be of a schema from the future."""


class SqliteBackend:
    """A file; its disk is full where the daemon may not write."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "store" / "clipper.db"
        self.url = f"sqlite://{self.file}"

    def take_away(self, daemon: Clipperd) -> None:
        if daemon.is_dead():
            self.file.parent.write_text("in the way of the folder")
        else:
            self._limit(daemon, 0)

    def give_back(self, daemon: Clipperd) -> None:
        if self.file.parent.is_file():
            self.file.parent.unlink()
        self._limit(daemon, resource.RLIM_INFINITY)

    def _limit(self, daemon: Clipperd, largest: int) -> None:
        for pid in (daemon.pid, *worker_pids(daemon).values()):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    def make_newer(self) -> None:
        with sqlite3.connect(self.file) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()


class RedisBackend:
    """A server that keeps what it was told, and that can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.server = RedisServer(folder)
        self.url = self.server.url
        self.server.start("--appendonly", "yes")

    def take_away(self, daemon: Clipperd) -> None:
        self.server.stop()

    def give_back(self, daemon: Clipperd) -> None:
        self.server.start("--appendonly", "yes")

    def make_newer(self) -> None:
        self.server.command("SET", "clipper:schema", "99")


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "sqlite":
        yield SqliteBackend(tmp_path)
        return
    redis = redis_backend(tmp_path)
    yield redis
    redis.server.stop()


def redis_backend(folder: Path) -> RedisBackend:
    if shutil.which("redis-server") is None:
        missing("redis", "there is no redis-server")
    return RedisBackend(folder)


@pytest.fixture
def workers() -> int:
    """How many processes answer queries, where the test does not say."""
    return 1


@pytest.fixture
def daemon(backend: Backend, workers: int, tmp_path: Path) -> Iterator[Clipperd]:
    """A daemon on the backend, not started yet."""
    one = Clipperd(tmp_path, store=backend.url, workers=workers)
    yield one
    one.close()


def set_up(clipper: ClipperConnection) -> None:
    """Two applications; three model versions, one of them rolled back to, in five replicas."""
    clipper.register_application("plain", "json", '"default"', PATIENT_US, on_overload="reject")
    policy = {"name": "exp3", "eta": 0.2}
    clipper.register_application("wise", "json", '"?"', PATIENT_US, selection_policy=policy)
    for name, version, cls, replicas in (
        ("echo", 1, "Troublemaker", 1),
        ("echo", 2, "Troublemaker", 1),
        ("liar", 1, "Liar", 1),
    ):
        path = f"{MODELS}:{cls}"
        clipper.deploy_model(
            name, version, "json", path, framework="python", num_replicas=replicas, labels=["x"]
        )
    clipper.set_model_version("echo", 1, num_replicas=2)
    clipper.link_model_to_app("plain", "echo")
    for name in ("echo", "liar"):
        clipper.link_model_to_app("wise", name)
    for number in range(10):
        answer = clipper.predict("wise", number, context="ann")
        assert clipper.feedback("wise", number, answer.query_id, context="ann").learned


def configuration(clipper: ClipperConnection) -> Any:
    """All that was acknowledged, without what comes and goes."""
    models = clipper.get_all_models(verbose=True)
    for model in models:
        model["replicas"].pop("ready")
    learned = clipper.get_selection_state("wise", "ann")
    for model in learned["models"]:
        model.pop("answers")
    return clipper.get_all_apps(verbose=True), models, learned


def serves_again(daemon: Clipperd) -> bool:
    """Every replica is up, and it says so itself."""
    if not daemon.is_ready():
        return False
    models = daemon.call("GET", "/api/v1/models").json()
    return all(one["replicas"]["ready"] == one["replicas"]["wanted"] for one in models)


def register_all_the_time(
    daemon: Clipperd, acknowledged: list[str], stopping: threading.Event
) -> None:
    """An administrator who is at work when the daemon dies."""
    with daemon.connect() as clipper:
        while not stopping.is_set():
            name = f"new{len(acknowledged)}"
            try:
                clipper.register_application(name, "json", "", PATIENT_US)
            except ClipperUnreachable:
                return
            acknowledged.append(name)


@pytest.mark.parametrize(
    ("group", "workers"),
    [(False, 1), (True, 1), (False, 2)],
    ids=["daemon killed", "group killed", "daemon killed that had workers"],
)
def test_after_kill_9_under_load_everything_is_there_and_serves_again(
    daemon: Clipperd, *, group: bool
) -> None:
    daemon.start()
    acknowledged: list[str] = []
    stopping = threading.Event()
    with daemon.connect() as clipper:
        set_up(clipper)
        before = configuration(clipper)
        last_id = clipper.predict("plain", "last").query_id
    os.kill(daemon.replica_pid("liar"), signal.SIGSTOP)  # one that will not end by itself
    writer = threading.Thread(target=register_all_the_time, args=(daemon, acknowledged, stopping))
    with load(daemon.query_port, "plain", callers=4) as seen:
        writer.start()
        until(lambda: len(seen.answers) > 200 and len(acknowledged) > 3, 20, "load")
        daemon.kill(group=group)
        old = daemon.note_processes()
        writer.join()
        daemon.start()
        took_s = until(lambda: serves_again(daemon), SERVES_AGAIN_S, "serving again")
        seen.await_answers(50)
    until(lambda: not old & daemon.note_processes(), GONE_S - took_s, "the end of the old ones")
    assert {"429", "500", "502"}.isdisjoint(seen.kinds())
    with daemon.connect() as clipper:
        apps, models, learned = configuration(clipper)
        names = [app["name"] for app in apps]
        assert set(acknowledged) <= set(names)
        assert len(names) <= 2 + len(acknowledged) + 1  # the last may be there unacknowledged
        kept = [app for app in apps if not app["name"].startswith("new")]
        assert (kept, models, learned) == before
        answer = clipper.predict("plain", "after")
        assert (answer.output, answer.is_default) == ("after", False)
        assert answer.query_id > last_id


@both_alone_and_with_workers
def test_a_store_that_is_down_at_the_start_is_waited_for(
    daemon: Clipperd, backend: Backend
) -> None:
    backend.take_away(daemon)
    daemon.start()
    reasons = daemon.call("GET", "/health/ready").json()["not_ready"]
    assert len(reasons) == 1
    assert backend.url.rpartition("/")[2] in reasons[0]
    with daemon.connect() as clipper:
        assert clipper.status()["store"]["state"] == "unavailable"
        with pytest.raises(ClipperRefused) as refusal:
            clipper.register_application("early", "json", "", PATIENT_US)
        assert (refusal.value.status, refusal.value.code) == (503, "store_unavailable")
        assert daemon.call("POST", "/early/predict", content='{"input": 1}').status_code == 503
        backend.give_back(daemon)
        until(daemon.is_ready, 10, "ready")
        until(lambda: clipper.status()["store"]["state"] == "ok", NOTICED_S, "the store in use")
        clipper.register_application("early", "json", "", PATIENT_US)


@both_alone_and_with_workers
def test_a_store_that_is_lost_is_done_without_until_it_is_back(
    daemon: Clipperd, backend: Backend
) -> None:
    daemon.start()
    with daemon.connect() as clipper, load(daemon.query_port, "plain", callers=3) as seen:
        until(lambda: seen.kinds()["404"], 5, "an answer")
        set_up(clipper)
        until(lambda: seen.kinds()["model"], 5, "predictions")
        before = configuration(clipper)
        answer = clipper.predict("wise", "later", context="ann")
        backend.take_away(daemon)
        with pytest.raises(ClipperRefused) as refusal:
            clipper.register_application("lost", "json", "", PATIENT_US)
        assert refusal.value.status == 503
        with pytest.raises(ClipperRefused) as refusal:
            clipper.feedback("wise", "later", answer.query_id)
        assert refusal.value.status == 503
        until(lambda: clipper.status()["store"]["state"] == "degraded", NOTICED_S, "degraded")
        assert daemon.metrics("clipper_store_degraded") == {(): 1.0}
        assert daemon.is_ready()
        os.kill(daemon.replica_pid("echo", index=1), signal.SIGKILL)
        until(lambda: daemon.replica_pid("echo", index=1), 10, "a replaced replica")
        seen.await_answers(50)
        assert clipper.predict("wise", "unheard of", context="bob").output != "?"
        assert configuration(clipper) == before
        backend.give_back(daemon)
        until(lambda: clipper.status()["store"]["state"] == "ok", NOTICED_S, "recovery")
        assert daemon.metrics("clipper_store_degraded") == {(): 0.0}
        assert configuration(clipper) == before
        assert clipper.feedback("wise", "later", answer.query_id).learned
        clipper.register_application("found", "json", "", PATIENT_US)
    assert seen.kinds().keys() <= {"404", "model", "default"}
    assert all(why.startswith("No connected models") for why in seen.explanations())
    assert "lost" not in daemon.call("GET", "/api/v1/applications").text


def test_a_store_of_a_newer_release_is_refused_and_left_alone(
    daemon: Clipperd, backend: Backend
) -> None:
    daemon.start()
    with daemon.connect() as clipper:
        until(daemon.is_ready, 10, "ready")
        clipper.register_application("old", "json", "", PATIENT_US)
    assert daemon.terminate() == 0
    backend.make_newer()
    daemon.start()
    until(lambda: "schema 99" in daemon.call("GET", "/health/ready").text, 10, "the reason")
    assert not daemon.is_ready()
    assert daemon.call("POST", "/old/predict", content='{"input": 1}').status_code == 503
    assert "schema 99" in daemon.text()


@pytest.mark.redis
def test_a_redis_that_comes_back_empty_is_told_again(tmp_path: Path) -> None:
    redis = redis_backend(tmp_path)
    daemon = Clipperd(tmp_path, store=redis.url)
    try:
        daemon.start()
        with daemon.connect() as clipper:
            until(daemon.is_ready, 10, "ready")
            set_up(clipper)
            apps, models, _ = configuration(clipper)
            redis.server.command("FLUSHDB")
            clipper.register_application("after", "json", "", PATIENT_US)
            until(lambda: "written again" in daemon.text(), NOTICED_S, "the configuration's return")
        daemon.kill()
        daemon.start()
        until(lambda: serves_again(daemon), SERVES_AGAIN_S, "serving again")
        with daemon.connect() as clipper:
            apps_again, models_again, _ = configuration(clipper)
            assert [app for app in apps_again if app["name"] != "after"] == apps
            assert models_again == models
    finally:
        daemon.close()
        redis.server.stop()


@pytest.mark.redis
def test_a_redis_that_hangs_holds_up_no_query(tmp_path: Path) -> None:
    redis = redis_backend(tmp_path)
    daemon = Clipperd(tmp_path, store=redis.url)
    try:
        daemon.start()
        with daemon.connect() as clipper:
            until(daemon.is_ready, 10, "ready")
            set_up(clipper)
            redis.server.signal(signal.SIGSTOP)
            with load(daemon.query_port, "plain", callers=3) as seen:
                for context in ("ann", "never seen", "unheard of"):
                    answer = clipper.predict("wise", f"of {context}", context=context, slo_ms=1000)
                    assert not answer.is_default, context
                until(lambda: clipper.status()["store"]["state"] == "degraded", NOTICED_S)
                redis.server.signal(signal.SIGCONT)
                until(lambda: clipper.status()["store"]["state"] == "ok", NOTICED_S, "recovery")
            assert max(answer.took_s for answer in seen.answers) < 1.0
            assert seen.kinds() == {"model": len(seen.answers)}
    finally:
        redis.server.signal(signal.SIGCONT)
        daemon.close()
        redis.server.stop()

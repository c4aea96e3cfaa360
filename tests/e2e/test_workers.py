"""Several processes answer on one port, and to whoever asks they are one daemon."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipper.admin.client import ClipperConnection
from tests.fakes.clipperd import MODELS, Clipperd, clipperd, script, serve
from tests.fakes.load import Caller, load
from tests.fakes.watching import is_alive, until
from tests.fakes.workers import (
    await_workers,
    connections,
    kill_worker,
    serving,
    whose,
    worker_pids,
)

WORKERS = 3
PATIENT_US = 10_000_000


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"workers": WORKERS}


def counted(daemon: Clipperd, url: str) -> dict[str, dict[str, Any]]:
    """The metrics of a listener as the old release gave them, by category and name."""
    body = httpx.get(f"{url}/metrics", trust_env=False).json()
    return {
        category: {name: value for entry in entries for name, value in entry.items()}
        for category, entries in body.items()
    }


def replicas(daemon: Clipperd, name: str) -> list[dict[str, Any]]:
    """Everything about the replicas of a model's first version."""
    states: list[dict[str, Any]] = daemon.call("GET", f"/api/v1/models/{name}/versions/1").json()[
        "replica_states"
    ]
    return states


def test_every_worker_answers_and_what_they_count_adds_up(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "sum")
    ids = []
    for number in range(120):
        with contextlib.closing(Caller(daemon.query_port)) as caller:
            ids += [caller.ask("sum", [number, turn]).body["query_id"] for turn in range(5)]
    assert len(set(ids)) == len(ids) == 600
    by_worker = Counter(map(whose, ids))
    assert len(by_worker) == WORKERS
    assert min(by_worker.values()) >= 50, "the kernel spreads connections"
    assert daemon.outcomes("sum") == {"answered": 600}
    assert daemon.metrics("clipper_query_latency_seconds_count") == {("sum",): 600}
    assert daemon.metrics("clipper_model_predictions_total")["sum", "1"] == 600
    for _ in range(10):  # whichever worker is asked
        old = counted(daemon, daemon.query_url)
        assert old["counters"]["app:sum:num_predictions"] == {"count": "600"}
        assert old["histograms"]["app:sum:prediction_latency"]["size"] == "600"
        text = httpx.get(f"{daemon.query_url}/metrics", headers={"Accept": "text/plain"}).text
        assert 'clipper_queries_total{app="sum",outcome="answered"} 600.0' in text
    (replica,) = replicas(daemon, "sum")
    assert replica["queries"] == 600
    assert 0 < replica["batches"] <= 600
    assert replica["batch_size_limit"] >= 1
    assert replica["latency"]["fixed_ms"] > 0


def test_each_change_is_seen_by_the_next_query_of_every_worker(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    path = f"{MODELS}:Troublemaker"
    serve(clipper, "steady")
    clipper.deploy_model("other", 1, "json", path, framework="python")
    with connections(daemon, "steady", WORKERS) as callers:

        def all_see(app: str, status: int, models: list[str] | None = None) -> None:
            for caller in callers:
                answer = caller.ask(app, time.monotonic())
                assert answer.status == status, answer.body
                assert models is None or answer.body["models"] == models

        for turn in range(8):
            clipper.register_application("changing", "json", "0", PATIENT_US)
            all_see("changing", 200, [])
            clipper.link_model_to_app("changing", "other")
            all_see("changing", 200, ["other:1"])
            version = f"new{turn}"
            clipper.deploy_model("other", version, "json", path, framework="python")
            all_see("changing", 200, [f"other:{version}"])
            clipper.set_model_version("other", 1)
            all_see("changing", 200, ["other:1"])
            clipper.stop_versioned_models({"other": [version]})
            all_see("changing", 200, ["other:1"])
            clipper.unlink_model_from_app("changing", "other")
            all_see("changing", 200, [])
            clipper.unregister_application("changing")
            all_see("changing", 404)


def test_an_application_of_the_same_name_begins_at_zero_everywhere(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "steady")
    with connections(daemon, "steady", WORKERS) as callers:
        for turn in range(5):
            clipper.register_application("again", "json", "0", PATIENT_US)
            for caller in callers:
                assert caller.ask("again", turn).status == 200
            assert sum(daemon.outcomes("again").values()) == WORKERS
            clipper.unregister_application("again")
            assert daemon.outcomes("again") == {}


def test_clipper_admin_sees_one_daemon(daemon: Clipperd, clipper: ClipperConnection) -> None:
    environment = daemon.environment | {
        "CLIPPER_URL": daemon.url,
        "CLIPPER_QUERY_URL": daemon.query_url,
    }

    def admin(*arguments: str) -> str:
        command = [*script("clipper-admin", "clipper.admin.cli"), *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    admin("app", "create", "cli", "--input-type", "json", "--default-output", "0")
    admin("model", "deploy", "cli", "1", f"{MODELS}:Troublemaker", "--input-type", "json")
    admin("app", "link", "cli", "cli")
    with connections(daemon, "cli", WORKERS) as callers:
        asked = sum(caller.ask("cli", 5).kind == "model" for caller in callers)
    assert asked == WORKERS
    assert "5" in admin("query", "cli", "5")
    assert "cli:1" in admin("model", "show", "cli", "1")
    admin("doctor")


def test_scaling_is_seen_by_every_worker(daemon: Clipperd, clipper: ClipperConnection) -> None:
    serve(clipper, "scaled")
    clipper.set_num_replicas("scaled", 2, 1)
    with connections(daemon, "scaled", WORKERS) as callers:
        pid = daemon.replica_pid("scaled", index=1)
        assert pid
        clipper.set_num_replicas("scaled", 0, 1)
        until(lambda: not is_alive(pid), 10, "the replicas' end")
        for caller in callers:
            answer = caller.ask("scaled", 1)
            assert answer.kind == "default"
            assert answer.body["default_explanation"].startswith("No connected models")
        assert not daemon.is_ready()
        clipper.set_num_replicas("scaled", 1, 1)
        until(daemon.is_ready, 10, "ready")
        for caller in callers:
            assert caller.ask("scaled", 2).kind == "model"


def tell(caller: Caller, app: str, **body: Any) -> Any:
    """Send feedback over this very connection; whether something was learned, or the status."""
    answer = caller.post(f"/{app}/feedback", body)
    return answer.body["learned"] if answer.status == 200 else answer.status


def serve_judged(clipper: ClipperConnection, loss: str = "zero_one", **models: str) -> None:
    """An application that learns which of its models lies."""
    policy = {"name": "exp3", "eta": 1.0}
    clipper.register_application(
        "judged", "json", "0", PATIENT_US, selection_policy=policy, loss=loss
    )
    for name, cls in (models or {"echo": "Troublemaker", "liar": "Liar"}).items():
        clipper.deploy_model(name, 1, "json", f"{MODELS}:{cls}", framework="python")
        clipper.link_model_to_app("judged", name)


def test_feedback_names_a_query_whichever_worker_answered_it(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve_judged(clipper, "absolute", echo="Troublemaker")
    serve(clipper, "steady")
    with connections(daemon, "steady", WORKERS) as callers:
        taught = 0
        for asked in callers:
            for told in callers:
                query_id = asked.ask("judged", taught / 100).body["query_id"]
                assert tell(told, "steady", query_id=query_id, label=0) == 404
                assert tell(told, "judged", query_id=query_id, label=[]) == 400
                assert tell(told, "judged", query_id=query_id, label=0, context="x") == 400
                assert tell(told, "judged", query_id=query_id, label=0.5) is True
                taught += 1
                for again in callers:
                    assert tell(again, "judged", query_id=query_id, label=0.5) is False
        for unknown in (2**24 - 1, 2**40, 2**63 - 1, 2**63, 2**80, -1):
            assert tell(callers[0], "judged", query_id=unknown, label=0.5) == 404
    state = clipper.get_selection_state("judged", "0")["state"]
    assert sum(state["pulls"].values()) == taught == WORKERS**2
    assert daemon.metrics("clipper_feedbacks_total")["judged",] == taught


def test_what_one_worker_learns_all_know(daemon: Clipperd, clipper: ClipperConnection) -> None:
    serve_judged(clipper)
    serve(clipper, "steady")
    with connections(daemon, "steady", WORKERS) as callers:
        for context in ("ann", "bob", "eve"):
            for caller in callers:  # everybody has the fresh state in memory now
                caller.ask("judged", 0.5, context=context)
            teacher = callers[len(context) % WORKERS]
            lies = 0
            while lies < 3:
                answer = teacher.ask("judged", 0.5, context=context).body
                lies += answer["models"] == ["liar:1"]
                assert tell(teacher, "judged", query_id=answer["query_id"], label=0.5)
            for caller in callers:
                answers = [caller.ask("judged", 0.5, context=context).body for _ in range(60)]
                chosen = Counter(answer["models"][0] for answer in answers)
                assert chosen["echo:1"] > 45, "by chance it would be 30"


def test_lessons_that_workers_learn_at_once_are_all_kept(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve_judged(clipper)
    serve(clipper, "steady")

    def teach(caller: Caller) -> None:
        for turn in range(20):
            query_id = caller.ask("judged", turn / 100, context="shared").body["query_id"]
            assert tell(caller, "judged", query_id=query_id, label=0.5) is True

    with connections(daemon, "steady", WORKERS) as callers:
        threads = [threading.Thread(target=teach, args=(caller,)) for caller in callers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    state = clipper.get_selection_state("judged", "shared")["state"]
    assert sum(state["pulls"].values()) == 20 * WORKERS


def has_another(daemon: Clipperd, model: str, pid: int) -> bool:
    """Whether a replica runs that is not this one."""
    return daemon.replica_pid(model) not in (0, pid)


def sampled(daemon: Clipperd, stopping: threading.Event, counts: list[float]) -> None:
    """What both listeners say of how many queries there were, again and again."""
    while not stopping.is_set():
        counts.append(sum(daemon.outcomes("hit").values()))
        with contextlib.suppress(httpx.TransportError):
            old = counted(daemon, daemon.query_url)["counters"]
            counts.append(int(old["app:hit:num_predictions"]["count"]))
        time.sleep(0.05)


def test_a_worker_that_is_killed_is_replaced_and_nobody_else_notices(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "hit")
    counts: list[float] = []
    stopping = threading.Event()
    sampler = threading.Thread(target=sampled, args=(daemon, stopping, counts))
    with load(daemon.query_port, "hit", 12) as seen:
        sampler.start()
        seen.await_answers(200)
        before = worker_pids(daemon)
        kill_worker(daemon)
        await_workers(daemon, WORKERS)
        after = worker_pids(daemon)
        seen.await_answers(400)
    stopping.set()
    sampler.join()
    assert [number for number in before if before[number] != after[number]] == [1]
    assert seen.broken < 12, "whoever was connected to another worker saw nothing"
    assert seen.refused == 0, "a successor serves those who connect meanwhile"
    assert seen.kinds() == {"model": len(seen.answers)}, seen.explanations()
    assert counts == sorted(counts), "counters never go back"
    by_worker = Counter(whose(answer.body["query_id"]) for answer in seen.answers)
    counted = sum(daemon.outcomes("hit").values())
    assert counted <= len(seen.answers) + seen.broken
    assert counted > len(seen.answers) - max(by_worker.values()), "most of what it counted, counts"
    assert "Worker 1 killed by SIGKILL; another is started" in daemon.text()


def test_a_worker_that_hangs_is_replaced_and_holds_up_no_administrator_for_long(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "held")
    pid = worker_pids(daemon)[1]
    os.kill(pid, signal.SIGSTOP)
    clipper.register_application("meanwhile", "json", "0", PATIENT_US)
    assert is_alive(pid), "it was not waited for until it was given up"
    until(lambda: not is_alive(pid), 10, "its end")
    await_workers(daemon, WORKERS)
    with connections(daemon, "held", WORKERS) as callers:
        for caller in callers:
            assert caller.ask("meanwhile", 1).status == 200
            assert caller.ask("held", 1).kind == "model"
    assert "did not answer and was killed" in daemon.text()


def test_a_successor_knows_all_that_its_predecessor_knew(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve_judged(clipper)
    serve(clipper, "steady")
    ids = []
    with connections(daemon, "steady", WORKERS) as callers:
        for caller in callers:
            ids.append(caller.ask("judged", 0.5).body["query_id"])
    time.sleep(0.5)  # until the journals are written
    kill_worker(daemon)
    await_workers(daemon, WORKERS)
    with connections(daemon, "steady", WORKERS) as callers:
        for caller in callers:
            assert caller.ask("judged", 0.25).kind == "model"
        outcomes = [tell(callers[0], "judged", query_id=id, label=0.5) for id in ids]
    assert outcomes == [True, True, True]


def test_replicas_that_die_are_replaced_for_every_worker(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "mortal")
    with connections(daemon, "mortal", WORKERS) as callers:
        for _ in range(3):
            pid = daemon.replica_pid("mortal")
            os.kill(pid, signal.SIGKILL)
            until(partial(has_another, daemon, "mortal", pid), 8, "another")
            for caller in callers:
                assert caller.ask("mortal", time.monotonic()).kind == "model"
    (replica,) = replicas(daemon, "mortal")
    assert replica["restarts"] == 3
    assert daemon.metrics("clipper_model_restarts_total")["mortal", "1"] == 3


def test_one_log_tells_which_process_speaks_and_no_secret_is_in_a_list_of_processes(
    tmp_path: Path,
) -> None:
    tokens = {"admin_token": "the-admin-token", "query_token": "the-query-token"}
    files = {}
    for name, token in tokens.items():
        (tmp_path / name).write_text(token)
        files[f"{name}_file"] = tmp_path / name
    with clipperd(tmp_path, workers=2, log_level="debug", **files) as daemon:
        with daemon.connect(token="the-admin-token", query_token="the-query-token") as clipper:
            serve(clipper, "secret")
            assert not clipper.predict("secret", 1).is_default
        assert daemon.call("POST", "/secret/predict", json={"input": 1}).status_code == 401
        for pid in worker_pids(daemon).values():
            for file in ("cmdline", "environ"):
                assert b"-token" not in Path(f"/proc/{pid}/{file}").read_bytes()
        speakers = [line.split()[2] for line in daemon.text().splitlines()]
        assert {"worker", "clipper.daemon:"} <= set(speakers)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Clipperd]:
    """A daemon that the test starts, as it needs it."""
    one = Clipperd(tmp_path, workers=2)
    yield one
    one.close()


def test_sigterm_and_ctrl_c_drain_all_workers(other: Clipperd) -> None:
    for number, send in ((signal.SIGTERM, os.kill), (signal.SIGINT, os.killpg)):
        other.start()
        with other.connect() as clipper:
            if not clipper.get_all_apps():
                serve(clipper, "drained", batch_size=4)
        until(other.is_ready, 10, "ready")

        def make(turn: int) -> Any:
            return {"do": "sleep", "for_s": 0.05, "number": [time.monotonic(), turn]}

        with load(other.query_port, "drained", 12, make) as seen:
            seen.await_answers(24)
            other.note_processes()
            send(other.pid, number)
            assert other.wait(15) == 0
        assert seen.broken == 0
        assert seen.kinds() == {"model": len(seen.answers)}, seen.explanations()
        assert not other.note_processes()
        assert "Traceback" not in other.text()


def test_a_second_sigterm_ends_all_workers_now(other: Clipperd, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "one worker stopped"])
def test_without_its_main_process_no_worker_lives_on(other: Clipperd, *, stopped: bool) -> None:
    other.start()
    with other.connect() as clipper:
        serve(clipper, "orphan")
        first = clipper.predict("orphan", 1).query_id
    pids = worker_pids(other)
    if stopped:
        os.kill(pids[1], signal.SIGSTOP)
    other.kill()
    until(lambda: not any(map(is_alive, pids.values())), 5, "the workers' end")
    other.start()
    until(other.is_ready, 15, "serving again")
    with other.connect() as clipper:
        answer = clipper.predict("orphan", 2)
        assert (answer.output, answer.is_default) == (2, False)
        assert answer.query_id > first


def test_a_port_that_another_daemon_shares_among_its_workers_is_taken(
    other: Clipperd, tmp_path: Path
) -> None:
    other.start()
    twin = Clipperd(tmp_path / "twin", workers=2, query_port=other.query_port)
    (tmp_path / "twin").mkdir()
    twin.launch()
    assert twin.wait(15) == 2
    assert f"query_port {other.query_port}" in twin.text()


def test_the_bounds_are_those_of_the_whole_daemon(tmp_path: Path) -> None:
    with (
        clipperd(tmp_path, workers=2, cache_bytes=40_000, journal_size=20) as daemon,
        daemon.connect() as clipper,
    ):
        serve_judged(clipper)
        with connections(daemon, "judged", 2) as callers:
            ids = [
                caller.ask("judged", turn / 1000).body["query_id"]
                for turn in range(200)
                for caller in callers
            ]
            known = [tell(callers[0], "judged", query_id=id, label=0.1) for id in ids]
        assert known.count(404) == len(ids) - 20
        assert 0 < daemon.metrics("clipper_cache_bytes")[()] <= 40_000


def test_a_client_that_waits_in_a_dead_workers_queue_is_served_by_its_successor(
    other: Clipperd,
) -> None:
    other.start()
    with other.connect() as clipper:
        serve(clipper, "patient")
    for pid in worker_pids(other).values():
        os.kill(pid, signal.SIGKILL)
    answered = []
    for number in range(10):
        with contextlib.closing(Caller(other.query_port)) as caller:
            answered.append(caller.ask("patient", number).kind)
    assert answered == ["model"] * 10


def test_who_connects_while_a_worker_is_missing_is_answered_at_once(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "hasty")
    answered_meanwhile = 0
    for number in (1, 2, 3):
        kill_worker(daemon, number)
        while serving(daemon) < WORKERS:
            with contextlib.closing(Caller(daemon.query_port)) as caller:
                assert caller.ask("hasty", time.monotonic()).kind == "model"
            assert daemon.is_ready()
            answered_meanwhile += 1
    # One in three comes to the place that has nobody, and would wait until somebody is there.
    assert answered_meanwhile > 20

"""Models that misbehave: their queries get the default in time, all others notice nothing."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipper.admin.client import ClipperConnection, ClipperRefused
from tests.fakes.clipperd import MODELS, Clipperd, clipperd, serve
from tests.fakes.load import load
from tests.fakes.watching import until

LATE = "Failed to retrieve a prediction response within the specified latency SLO"
NO_MODELS = "No connected models found for query"
REPLACED_S = 5.0 + 3.0
"""After its death, with the time that it takes to load."""


def states(daemon: Clipperd, name: str) -> dict[str, Any]:
    """The first replica, as `/api/v1` shows it."""
    body = daemon.call("GET", f"/api/v1/models/{name}/versions/1").json()
    state: dict[str, Any] = body["replica_states"][0]
    return state


def await_replaced(
    daemon: Clipperd, name: str, pid: int, within_s: float = REPLACED_S, index: int = 0
) -> float:
    """Wait until another process answers; returns how long that took."""

    def is_replaced() -> bool:
        return daemon.replica_pid(name, index=index) not in (0, pid)

    return until(is_replaced, within_s, "another replica")


def is_usable(clipper: ClipperConnection, name: str) -> bool:
    """Whether a new query is answered by the model."""
    return not clipper.predict(name, f"new {time.monotonic_ns()}").is_default


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("answer_too_few", "0 outputs for 1 inputs"),
        ("answer_nothing", "NoneType"),
        ("answer_nan", "nan"),
        ("answer_object", "object has no JSON form"),
        ("fail", "ValueError: this is poison"),
    ],
)
def test_a_bad_answer_fails_its_batch_with_the_reason_and_nothing_else(
    daemon: Clipperd, clipper: ClipperConnection, order: str, reason: str
) -> None:
    serve(clipper, "bad")
    pid = daemon.replica_pid("bad")
    answer = clipper.predict("bad", {"do": order})
    assert (answer.is_default, answer.output) == (True, "default")
    assert answer.explanation.startswith("The model failed: ")
    assert reason in answer.explanation
    assert is_usable(clipper, "bad")
    assert daemon.replica_pid("bad") == pid
    assert daemon.outcomes("bad") == {"model_failed": 1, "answered": 1}


def test_of_a_batch_with_one_poison_input_the_other_31_are_answered(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "poisoned", batch_size=32)
    pid = daemon.replica_pid("poisoned")
    inputs: list[Any] = [f"harmless {number}" for number in range(32)]
    inputs[13] = {"do": "fail"}
    answers = clipper.predict_batch("poisoned", inputs, explain=True)
    assert [answer.is_default for answer in answers] == [number == 13 for number in range(32)]
    assert answers[13].explanation == "The model failed: ValueError: this is poison"
    assert [one.output for one in answers if not one.is_default] == inputs[:13] + inputs[14:]
    assert {answer.raw["timing"]["batch_size"] for answer in answers} == {32}
    assert daemon.replica_pid("poisoned") == pid


def test_of_a_batch_with_one_input_that_ends_the_process_the_others_are_answered(
    clipper: ClipperConnection,
) -> None:
    serve(clipper, "lethal", batch_size=8)
    inputs: list[Any] = [f"harmless {number}" for number in range(8)]
    inputs[3] = {"do": "exit"}
    answers = clipper.predict_batch("lethal", inputs)
    assert [answer.is_default for answer in answers] == [number == 3 for number in range(8)]


def test_a_model_that_sleeps_past_the_slo_is_not_waited_for_and_its_answer_is_kept(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "sleepy", slo_ms=300)
    order = {"do": "sleep", "for_s": 1.0}
    began = time.monotonic()
    answer = clipper.predict("sleepy", order)
    took_s = time.monotonic() - began
    assert (answer.output, answer.explanation) == ("default", LATE)
    assert 0.28 < took_s < 0.7
    until(lambda: daemon.metrics("clipper_model_late_total")["sleepy", "1"] == 1, 5)
    again = clipper.predict("sleepy", order, explain=True)
    assert (again.output, again.raw["cache"]) == ("awake", "exact")
    assert daemon.outcomes("sleepy") == {"late": 1, "answered": 1}


@pytest.mark.parametrize(
    ("order", "last_words"),
    [
        ("exit", "exited with code 3; its last lines:"),
        ("raise_exit", "exited with code"),
        ("kill", "killed by SIGKILL"),
    ],
)
def test_a_process_that_ends_is_replaced_and_its_end_is_told(
    daemon: Clipperd, clipper: ClipperConnection, order: str, last_words: str
) -> None:
    serve(clipper, "mortal", slo_ms=200)
    pid = daemon.replica_pid("mortal")
    assert clipper.predict("mortal", {"do": order}).is_default
    await_replaced(daemon, "mortal", pid)
    state = states(daemon, "mortal")
    assert last_words in state["last_exit"]
    assert state["restarts"] == 1
    if order == "exit":
        assert "these are its last words" in state["last_exit"]
        assert "these are its last words" in clipper.get_model_logs("mortal", 1)
    assert is_usable(clipper, "mortal")


def test_replicas_that_are_killed_over_and_over_come_back_each_time(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "hunted", slo_ms=500)
    clipper.set_num_replicas("hunted", 2)
    with load(daemon.query_port, "hunted", callers=4) as seen:
        for index in (0, 1, 0, 0):
            pid = daemon.replica_pid("hunted", index=index)
            os.kill(pid, signal.SIGKILL)
            await_replaced(daemon, "hunted", pid, index=index)
            seen.await_answers(20)
    assert seen.kinds().keys() <= {"model", "default"}
    assert seen.kinds()["model"] > 0.9 * len(seen.answers), "the other replica serves on"
    assert sum(daemon.outcomes("hunted").values()) == len(seen.answers)


def test_replicas_that_are_stopped_are_replaced_asked_or_not(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    for name in ("busy", "idle", "bystander"):
        serve(clipper, name, slo_ms=200)
    pids = {name: daemon.replica_pid(name) for name in ("busy", "idle")}
    with (
        load(daemon.query_port, "busy", callers=2) as seen,
        load(daemon.query_port, "bystander", callers=1) as others,
    ):
        seen.await_answers(20)
        for pid in pids.values():
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        until(lambda: seen.kinds()["default"] > 3, 5, "the default")
        for name, pid in pids.items():
            await_replaced(daemon, name, pid, 45.0 - (time.monotonic() - began))
        models = seen.kinds()["model"]
        until(lambda: seen.kinds()["model"] > models + 20, 5, "answers of the new replica")
    assert max(answer.took_s for answer in seen.answers) < 1.0
    assert others.kinds() == {"model": len(others.answers)}
    assert is_usable(clipper, "idle")


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Clipperd]:
    """A daemon that gives a silent replica up soon."""
    with clipperd(tmp_path, store="memory://", batch_timeout_s=1.5) as one:
        yield one


def test_a_model_that_hangs_or_prints_without_end_hurts_only_itself(impatient: Clipperd) -> None:
    orders = {
        "hanging": {"do": "sleep", "for_s": 3600},
        "talking": {"do": "write", "bytes": 1 << 30},
    }
    with impatient.connect() as clipper, load(impatient.query_port, "bystander", 2) as seen:
        for name in ("bystander", *orders):
            serve(clipper, name, slo_ms=300)
        seen.answers.clear()
        memory = impatient.peak_memory_mb()
        pids = {name: impatient.replica_pid(name) for name in orders}
        for name, order in orders.items():
            assert clipper.predict(name, order).explanation == LATE
        for name, pid in pids.items():
            await_replaced(impatient, name, pid, 20.0)
            assert (
                "did not answer a batch of 1 within 1.5 s" in states(impatient, name)["last_exit"]
            )
            assert is_usable(clipper, name)
        seen.await_answers(20)
    assert seen.kinds() == {"model": len(seen.answers)}
    logs = (impatient.folder / "data" / "logs" / "talking").rglob("*")
    assert sum(file.stat().st_size for file in logs if file.is_file()) < 4 << 20
    assert impatient.peak_memory_mb() - memory < 30


def test_a_model_without_memory_says_so(clipper: ClipperConnection) -> None:
    serve(clipper, "hungry")
    answer = clipper.predict("hungry", {"do": "eat_memory"})
    assert answer.explanation == "The model failed: MemoryError"
    until(lambda: is_usable(clipper, "hungry"), REPLACED_S, "a usable model")


def test_without_replicas_the_default_says_so_until_one_is_there(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    clipper.register_application("alone", "json", "0", 300_000)
    assert clipper.predict("alone", 1).explanation == NO_MODELS
    assert daemon.is_ready()
    clipper.register_model("alone", 1, "json")
    clipper.link_model_to_app("alone", "alone")
    answer = clipper.predict("alone", 1)
    assert answer.explanation == f"{NO_MODELS}: No replica of alone:1 is ready."
    reasons = daemon.call("GET", "/health/ready").json()["not_ready"]
    assert reasons == ["Application 'alone' has no live replica of alone:1."]
    clipper.deploy_model("alone", 1, "json", f"{MODELS}:Troublemaker", framework="python")
    assert daemon.is_ready()
    assert clipper.predict("alone", 1).output == 1
    pid = daemon.replica_pid("alone")
    os.kill(pid, signal.SIGKILL)
    until(lambda: not daemon.is_ready(), 3, "not ready")
    assert clipper.predict("alone", 2).explanation.startswith(NO_MODELS)
    assert clipper.predict("alone", 1).output == 1, "what is known is answered all the same"
    until(daemon.is_ready, REPLACED_S, "ready again")
    assert clipper.predict("alone", 2).output == 2


BROKEN = {
    "module that is not there": ("import no_such_module\nclass M: ...", "no_such_module"),
    "no python": ("class M(", "SyntaxError"),
    "no such class": ("class N: ...", "M"),
    "no predict_batch": ("class M:\n    def __init__(self, data): ...", "predict_batch"),
    "exits": ("import os; os._exit(9)", "exited with code 9"),
}


@pytest.mark.parametrize("what", [*BROKEN, "raising __init__", "no file", "never ready"])
def test_a_broken_model_is_refused_with_the_reason_and_the_old_one_serves_on(
    daemon: Clipperd, clipper: ClipperConnection, tmp_path: Path, what: str
) -> None:
    serve(clipper, "kept")
    code, reason = BROKEN.get(what, ("", "cannot be found"))
    file = tmp_path / "broken.py"
    path, timeout_s = f"{file}:M", 60.0
    if what in BROKEN:
        file.write_text(code)
    elif what == "raising __init__":
        path, reason = f"{MODELS}:RaisesInInit", "RuntimeError: the weights are from another planet"
    elif what == "never ready":
        path, reason, timeout_s = f"{MODELS}:SlowToLoad", "was not ready within 1 s", 1.0
    before = daemon.note_processes()
    response = daemon.call(
        "POST", "/api/v1/models", json=deployment("kept", "2", path, timeout_s=timeout_s)
    )
    assert response.status_code == 502, response.text
    error = response.json()["error"]
    assert error["code"] == "deploy_failed"
    assert reason in error["message"] + error["hint"]
    assert daemon.note_processes() <= before
    assert clipper.get_all_models() == ["kept:1"]
    assert is_usable(clipper, "kept")
    clipper.deploy_model("kept", 2, "json", f"{MODELS}:Troublemaker", framework="python")
    assert clipper.predict("kept", "x").raw["models"] == ["kept:2"]


def deployment(name: str, version: str, path: str, **options: Any) -> dict[str, Any]:
    """The body that deploys a python model for JSON."""
    model = {"name": name, "version": version, "input_type": "json"}
    return model | {"deployment": {"framework": "python", "path": path}} | options


def test_a_model_of_another_input_type_is_refused_before_it_is_started(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "typed")
    before = daemon.note_processes()
    with pytest.raises(ClipperRefused, match="incompatible input_type 'floats'") as refusal:
        clipper.deploy_model("typed", 2, "floats", f"{MODELS}:Troublemaker", framework="python")
    assert refusal.value.status == 409
    assert daemon.note_processes() <= before


def test_of_admins_who_deploy_the_same_version_at_once_one_wins(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    before = daemon.note_processes()
    body = deployment("raced", "1", f"{MODELS}:Troublemaker")
    gate = threading.Barrier(4)

    def deploy(_: int) -> httpx.Response:
        gate.wait()
        return daemon.call("POST", "/api/v1/models", json=body)

    with ThreadPoolExecutor(4) as admins:
        responses = list(admins.map(deploy, range(4)))
    assert sorted(response.status_code for response in responses) == [201, 409, 409, 409]
    assert len(daemon.note_processes() - before) == 1
    clipper.stop_all_model_containers()
    until(lambda: daemon.note_processes() <= before, 10, "the end of the replica")

"""More queries than can be answered, and clients that do not wait for their answers."""

import json
import os
import random
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from clipper.admin.client import ClipperConnection
from tests.fakes.clipperd import Clipperd, serve
from tests.fakes.load import Caller, load
from tests.fakes.watching import until

QUEUE = 30
SLO_MS = 300
WORK_S = 0.02
CALLERS = 50
OVERLOADED_FOR_S = 3.0
LEEWAY_S = 0.7
"""For a machine that runs the callers, the daemon and the models on two cores."""


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"queue_limit": QUEUE, "store": "memory://"}


def ask_and_leave(daemon: Clipperd, name: str, input: Any) -> socket.socket:
    """Send a query; the caller hangs up without reading the answer."""
    body = json.dumps({"input": input}).encode()
    head = f"POST /{name}/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", daemon.query_port))
    connection.sendall(head.encode() + body)
    return connection


def waiting(daemon: Clipperd, name: str) -> int:
    return int(daemon.metrics("clipper_model_queue_depth")[name, "1"])


def begin(daemon: Clipperd, name: str, file: Path, for_s: float) -> socket.socket:
    """Give the model something to do, and return when it has begun."""
    order = {"do": "sleep", "for_s": for_s, "begun": str(file)}
    connection = ask_and_leave(daemon, name, order)
    until(file.exists, 5, "the model's work")
    return connection


def test_who_leaves_while_queued_is_withdrawn_and_the_model_never_asked(
    daemon: Clipperd, clipper: ClipperConnection, tmp_path: Path
) -> None:
    serve(clipper, "left")
    busy = begin(daemon, "left", tmp_path / "begun", 1.0)
    asked = tmp_path / "asked"
    leaving = [
        ask_and_leave(daemon, "left", {"do": "touch", "file": f"{asked}{number}"})
        for number in range(10)
    ]
    until(lambda: waiting(daemon, "left") == 10, 0.9, "ten in the queue")
    for connection in leaving:
        connection.close()
    until(lambda: waiting(daemon, "left") == 0, 0.9, "an empty queue")
    assert clipper.predict("left", "after them").output == "after them"
    busy.close()
    assert not list(tmp_path.glob("asked*"))
    assert daemon.outcomes("left") == {"answered": 2, "cancelled": 10}


def test_who_leaves_during_a_batch_harms_no_batch_mate_and_the_output_is_kept(
    daemon: Clipperd, clipper: ClipperConnection, tmp_path: Path
) -> None:
    serve(clipper, "mates", batch_size=4)
    busy = begin(daemon, "mates", tmp_path / "begun", 0.3)
    order = {"do": "sleep", "for_s": 0.4, "begun": str(tmp_path / "batch")}
    leaver = ask_and_leave(daemon, "mates", order)
    mates = [ask_and_leave(daemon, "mates", f"mate {number}") for number in range(3)]
    until((tmp_path / "batch").exists, 5, "the batch")
    leaver.close()
    for number, mate in enumerate(mates):
        assert f"mate {number}".encode() in mate.recv(65536)
    again = clipper.predict("mates", order, explain=True)
    assert (again.output, again.raw["cache"]) == ("awake", "exact")
    for connection in (busy, *mates):
        connection.close()
    assert daemon.outcomes("mates") == {"answered": 5, "cancelled": 1}
    assert daemon.metrics("clipper_model_late_total")["mates", "1"] == 1
    assert daemon.metrics("clipper_model_batches_total")["mates", "1"] == 2


def test_many_who_come_and_leave_at_random_leave_nothing_behind(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "flighty")
    chance = random.Random(7)
    files = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    with load(daemon.query_port, "flighty", callers=2) as seen:
        for number in range(300):
            connection = ask_and_leave(daemon, "flighty", ["leaver", number])
            time.sleep(chance.random() * 0.003)
            if chance.random() < 0.5:  # a reset instead of an orderly end
                linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
    assert seen.kinds() == {"model": len(seen.answers)}
    until(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) <= files + 2, 5, "closed connections")
    outcomes = daemon.outcomes("flighty")
    assert outcomes.keys() <= {"answered", "cancelled"}
    assert sum(outcomes.values()) == 300 + len(seen.answers)
    assert waiting(daemon, "flighty") == 0


@pytest.mark.parametrize("slo_ms", [SLO_MS, 2000], ids=["too late", "queue full"])
@pytest.mark.parametrize("on_overload", ["default", "reject"])
def test_overload_is_shed_and_what_is_admitted_is_answered_in_time(
    daemon: Clipperd, clipper: ClipperConnection, on_overload: str, slo_ms: int
) -> None:
    serve(clipper, "flooded", slo_ms=slo_ms, on_overload=on_overload, batch_size=1)
    serve(clipper, "beside", slo_ms=2000)
    memory = daemon.peak_memory_mb()

    def make(number: int) -> Any:
        return {"do": "sleep", "for_s": WORK_S, "number": number}

    began = time.monotonic()
    with load(daemon.query_port, "flooded", CALLERS, make) as seen:
        while time.monotonic() - began < OVERLOADED_FOR_S:
            assert not clipper.predict("beside", time.monotonic()).is_default
            assert waiting(daemon, "flooded") <= QUEUE
    possible = OVERLOADED_FOR_S / WORK_S
    kinds = seen.kinds()
    assert len(seen.answers) > 2 * possible, "it was no overload"
    assert kinds["model"] > 0.2 * possible
    taken = sorted(answer.took_s for answer in seen.answers if answer.kind == "model")
    assert taken[int(0.99 * len(taken))] < slo_ms / 1000 + LEEWAY_S
    assert max(answer.took_s for answer in seen.answers) < slo_ms / 1000 + 2 * LEEWAY_S
    if on_overload == "reject":
        assert kinds["429"] > possible
        refusal = next(answer for answer in seen.answers if answer.kind == "429")
        assert refusal.body["error"] == "Overloaded"
        assert refusal.headers["retry-after"] == "1"
    else:
        assert kinds.keys() == {"model", "default"}
        cause = "would have come too late" if slo_ms == SLO_MS else "queue is full"
        assert sum(cause in why for why in seen.explanations()) > 0
    counted = daemon.outcomes("flooded")
    assert counted["answered"] == kinds["model"]
    assert counted.get("rejected", 0) == kinds["429"]
    assert sum(counted.values()) == len(seen.answers)
    assert daemon.peak_memory_mb() - memory < 50
    caller = Caller(daemon.query_port)
    recovered_s = until(lambda: caller.ask("flooded", time.monotonic()).kind == "model", 3)
    assert recovered_s < 2.0
    assert [caller.ask("flooded", number).kind for number in range(20)] == ["model"] * 20
    caller.close()

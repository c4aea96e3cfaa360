"""The line on the terminal while replicas start."""

import io
import threading
from typing import Any

import pytest
from rich.console import Console

from clipper.admin import progress as module
from clipper.admin.client import ClipperConnection
from clipper.admin.errors import ClipperUnreachable
from clipper.admin.progress import deployment_phase, progress, replicas_ready


def test_nothing_is_written_where_nobody_looks() -> None:
    out = io.StringIO()
    with progress(Console(file=out), "m:1", lambda: "starting"):
        pass
    assert out.getvalue() == ""


def test_a_terminal_shows_the_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.001)
    out = io.StringIO()
    asked = threading.Event()
    answers = iter([ClipperUnreachable("gone", hint="")])

    def describe() -> str:
        for failure in answers:  # one failure is passed over
            raise failure
        asked.set()
        return "loading the model"

    with progress(Console(file=out, force_terminal=True, width=80), "m:1", describe):
        assert asked.wait(5)
    assert "m:1" in out.getvalue()
    assert "progress" not in [thread.name for thread in threading.enumerate()]


def test_the_phase_is_that_of_the_deployment(daemon: Any, clipper: ClipperConnection) -> None:
    assert deployment_phase(clipper, "m:1") == "starting"
    assert deployment_phase(clipper, "m:2") == "waiting for the daemon"


def test_what_was_written_last_is_shown_as_it_is(daemon: Any, clipper: ClipperConnection) -> None:
    daemon.last_line = "  Collecting torch[cpu] \x1b[2J\rx" + 100 * "."
    shown = deployment_phase(clipper, "m:1")
    assert r"Collecting torch\[cpu] \x1b[2J\rx" in shown
    assert len(shown) < 100


def test_replicas_are_counted(clipper: ClipperConnection) -> None:
    assert replicas_ready(clipper, "m", "1") == "deleted"
    clipper.deploy_model("m", 1, "floats", "", "noop", num_replicas=2)
    assert replicas_ready(clipper, "m", "1") == "2 of 2 replicas are ready"

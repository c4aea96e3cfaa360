"""What doctor finds, and what it advises."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clipper.admin.client import ClipperConnection
from clipper.admin.diagnosis import (
    FAILED,
    OK,
    WARNING,
    Check,
    disk,
    docker_engine,
    listener,
    python_version,
    reported,
    store_folder,
)

STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "ready": True,
    "not_ready": [],
    "store": {"url": "memory://", "state": "ok"},
    "replicas": {"ready": 1, "starting": 0, "backing_off": 0},
}


def outcomes(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.outcome for check in checks}


def test_an_old_python_fails() -> None:
    assert python_version((3, 11, 0)).outcome == OK
    assert python_version((3, 10, 9)).outcome == FAILED


def test_a_daemon_that_is_well_passes(clipper: ClipperConnection) -> None:
    checks = reported(lambda: STATUS)
    assert outcomes(checks) == {"ready": OK, "store": OK, "replicas": OK, "policies": OK}
    assert listener("admin listener", clipper.admin).outcome == OK


@pytest.mark.parametrize(
    ("change", "name", "outcome", "word"),
    [
        ({"ready": False, "not_ready": ["m:1 has no replica"]}, "ready", FAILED, "m:1"),
        ({"store": {"url": "redis://h", "state": "degraded"}}, "store", FAILED, "degraded"),
        ({"replicas": {"ready": 0, "backing_off": 2}}, "replicas", WARNING, "2 backing off"),
        ({"troubles": ["a: no file mine.py"]}, "policies", WARNING, "a: no file mine.py"),
    ],
)
def test_what_is_wrong_comes_with_a_fix(
    change: dict[str, Any], name: str, outcome: str, word: str
) -> None:
    (check,) = [one for one in reported(lambda: STATUS | change) if one.name == name]
    assert check.outcome == outcome
    assert word in check.detail
    assert check.fix


def test_a_missing_token_is_found(daemon: Any, clipper: ClipperConnection) -> None:
    daemon.tokens[1338] = "s3cret"
    (check,) = reported(clipper.status)
    assert check.outcome == FAILED
    assert "--token" in check.fix
    assert not check.unreachable


def test_a_listener_that_is_down_is_unreachable(daemon: Any, clipper: ClipperConnection) -> None:
    daemon.down = {1337, 1338}
    check = listener("query listener", clipper.query)
    assert check.unreachable
    assert "clipperd" in check.fix
    assert reported(clipper.status) == []


def test_the_folder_of_a_file_store_is_known(tmp_path: Path) -> None:
    assert store_folder(f"sqlite://{tmp_path}/clipper.db") == tmp_path
    assert str(store_folder(f"sqlite:///{tmp_path}/clipper.db")) == str(tmp_path)
    assert store_folder("sqlite:///no/such/folder/clipper.db") is None
    assert store_folder("memory://") is None


@pytest.mark.parametrize(
    ("free", "outcome"), [(10 << 30, OK), (500 << 20, WARNING), (10 << 20, FAILED)]
)
def test_a_full_disk_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, outcome: str
) -> None:
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert disk(tmp_path).outcome == outcome


@pytest.mark.parametrize(
    ("script", "outcome", "word"),
    [
        ("echo 29.1.0", OK, "29.1.0"),
        ("echo Cannot connect >&2; exit 1", WARNING, "Cannot connect"),
        ("exit 1", WARNING, "does not answer"),
    ],
)
def test_docker_is_asked_through_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, outcome: str, word: str
) -> None:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    check = docker_engine()
    assert check.outcome == outcome
    assert word in check.detail


def test_no_docker_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert docker_engine().outcome == WARNING

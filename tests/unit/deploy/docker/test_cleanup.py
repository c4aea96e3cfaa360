"""When the containers of a dead daemon are removed, and when they are left to another."""

from pathlib import Path

import pytest

from clipper.deploy.docker import cleanup
from clipper.deploy.instance import claim

LABEL = "ai.clipper.instance=me"


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, duration_s: float) -> None:
        self.now += duration_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(cleanup, "time", clock)
    return clock


@pytest.fixture
def cleared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    cleared: list[str] = []
    monkeypatch.setattr(cleanup, "clear", cleared.append)
    return cleared


def test_after_the_grace_all_is_removed(tmp_path: Path, clock: Clock, cleared: list[str]) -> None:
    cleanup.main(str(tmp_path / "docker.lock"), "60", LABEL)
    assert cleared == [LABEL]
    assert 60 <= clock.now < 61


def test_without_a_grace_it_is_removed_as_soon_as_the_dead_ones_lock_is_free(
    tmp_path: Path, clock: Clock, cleared: list[str]
) -> None:
    cleanup.main(str(tmp_path / "docker.lock"), "0.0", LABEL)
    assert cleared == [LABEL]
    assert 0 < clock.now < 1


def test_to_a_new_daemon_all_is_left_at_once(
    tmp_path: Path, clock: Clock, cleared: list[str]
) -> None:
    with claim(tmp_path, "docker"):
        cleanup.main(str(tmp_path / "docker.lock"), "60", LABEL)
    assert cleared == []
    assert clock.now < 1


def test_while_it_is_removed_no_daemon_can_start(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def clear(label: str) -> None:
        with pytest.raises(Exception, match="another daemon"):
            claim(tmp_path, "docker")
        refused.append(label)

    monkeypatch.setattr(cleanup, "clear", clear)
    cleanup.main(str(tmp_path / "docker.lock"), "0", LABEL)
    assert refused == [LABEL]
    claim(tmp_path, "docker").close()


def test_with_the_data_directory_gone_nobody_is_waited_for(
    tmp_path: Path, clock: Clock, cleared: list[str]
) -> None:
    cleanup.main(str(tmp_path / "gone" / "docker.lock"), "60", LABEL)
    assert cleared == [LABEL]
    assert clock.now < 1

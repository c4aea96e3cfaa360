"""Logs go a day after a version that is gone has printed its last line."""

import os
from pathlib import Path

from clipper.core.types import ModelId, ReplicaId
from clipper.deploy.log_folder import QUIET_S, LogFolder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_logs_of_versions_that_are_gone_go_when_they_are_old(tmp_path: Path) -> None:
    for version in ("kept", "gone", "new"):
        file = tmp_path / "m" / version / "0.log"
        file.parent.mkdir(parents=True)
        file.touch()
        if version != "new":
            long_ago = file.stat().st_mtime - QUIET_S - 60
            os.utime(file, (long_ago, long_ago))
    folder = LogFolder(tmp_path)
    await folder.forget({ModelId("m", "kept")})
    assert names(tmp_path / "m") == ["kept", "new"]


async def test_a_model_without_versions_leaves_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "m" / "1" / "0.log"
    file.parent.mkdir(parents=True)
    file.touch()
    os.utime(file, (0, 0))
    await LogFolder(tmp_path).forget(())
    assert names(tmp_path) == []
    await LogFolder(tmp_path / "absent").forget(())


async def test_a_trial_begins_with_nothing_and_its_lines_stay_readable(tmp_path: Path) -> None:
    model, folder = ModelId("m", "1"), LogFolder(tmp_path)
    await folder.begin(model)
    for name in ("0.log", "0.log.1", "1.log"):
        file = tmp_path / "m" / "1" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name}\n")
    assert await folder.tail(ReplicaId(model, 0), 10) == ["0.log.1", "0.log"]
    assert await folder.tail(ReplicaId(model, 1), 10) == ["1.log"]
    await folder.begin(model)
    assert await folder.tail(ReplicaId(model, 0), 10) == []

"""The sockets' folder is private and has a short path, and takes the place of older ones."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from clipper.deploy.process.runtime_dir import PATH_BYTES, is_ours, private_dir


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_for_its_user_only(temporary: Path) -> None:
    folder = private_dir("clipper-test-")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert is_ours(folder)
    folder.rmdir()


def test_it_replaces_those_of_the_same_prefix(tmp_path: Path) -> None:
    prefix = f"clipper-{os.getpid()}-"
    old = private_dir(prefix)
    new = private_dir(prefix)
    assert (old.exists(), new.exists()) == (False, True)
    new.rmdir()


def test_its_path_stays_short_where_temporary_files_are_far_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = tmp_path / ("x" * PATH_BYTES)
    far.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(far))
    folder = private_dir(f"clipper-{os.getpid()}-")
    assert folder.parent == Path("/tmp")
    folder.rmdir()


def test_what_is_missing_a_file_or_a_link_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    assert not any(map(is_ours, (tmp_path / "none", tmp_path / "file", tmp_path / "link")))

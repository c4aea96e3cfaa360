"""A data directory names its daemon, and belongs to one at a time."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from clipper.core.errors import DeployError
from clipper.deploy.instance import Taken, claim, instance_id


def test_the_name_is_the_same_at_every_start(tmp_path: Path) -> None:
    data_dir = tmp_path / "not" / "there" / "yet"
    first = instance_id(data_dir)
    assert len(first) == 12
    assert instance_id(data_dir) == first


def test_no_two_directories_have_the_same_name_not_even_a_copy(tmp_path: Path) -> None:
    first = instance_id(tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    assert len({first, instance_id(tmp_path / "copy"), instance_id(tmp_path / "second")}) == 3


def test_naming_leaves_one_file_behind(tmp_path: Path) -> None:
    instance_id(tmp_path)
    assert os.listdir(tmp_path) == ["instance"]


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeployError, match="file/data cannot be used") as refused:
        instance_id(tmp_path / "file" / "data")
    assert "--data-dir" in refused.value.hint


def test_a_place_is_taken_until_it_is_left(tmp_path: Path) -> None:
    place = claim(tmp_path, "process")
    with pytest.raises(DeployError, match="another daemon"):
        claim(tmp_path, "process")
    claim(tmp_path, "docker").close()
    place.close()
    claim(tmp_path, "process").close()


def test_with_patience_a_place_is_waited_for(tmp_path: Path) -> None:
    place = claim(tmp_path, "docker")
    leaving = threading.Timer(0.1, place.close)
    leaving.start()
    claim(tmp_path, "docker", patience_s=30).close()
    leaving.join()


def test_patience_ends(tmp_path: Path) -> None:
    with claim(tmp_path, "docker"), pytest.raises(Taken):
        claim(tmp_path, "docker", patience_s=0.05)

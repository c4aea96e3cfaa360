"""What a model's folder holds, where others have put links into it."""

import os
from pathlib import Path

import pytest

from clipper.core.folders import contents


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder, beside something that is not for others."""
    (tmp_path / "id_rsa").write_text("secret")
    (tmp_path / "keys").mkdir()
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "weights.bin").touch()
    return folder


def names(folder: Path, *left_out: str) -> list[str]:
    return [str(path.relative_to(folder)) for path in contents(folder, folder, left_out)]


def test_files_and_folders_come_in_order_and_some_not_at_all(folder: Path) -> None:
    (folder / "a.json").touch()
    (folder / ".git").symlink_to("/nowhere")
    assert names(folder, ".git") == [".", "a.json", "data", "data/weights.bin"]
    file = folder / "a.json"
    assert list(contents(file, file)) == [file]


def test_links_are_followed_inside(folder: Path) -> None:
    (folder / "link.bin").symlink_to("data/weights.bin")
    (folder / "same").symlink_to(folder / "data")
    links = ["link.bin", "same", "same/weights.bin"]
    assert names(folder) == [".", "data", "data/weights.bin", *links]


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "link.bin").symlink_to("data/weights.bin")
    (tmp_path / "alias").symlink_to(folder)
    assert "link.bin" in names(tmp_path / "alias")


@pytest.mark.parametrize("target", ["../id_rsa", "../keys", "data/../../id_rsa"])
def test_a_link_that_leads_out_is_refused_by_name(folder: Path, target: str) -> None:
    (folder / "tokenizer.json").symlink_to(target)
    with pytest.raises(OSError, match=r"model/tokenizer\.json leads out of .*model, to /"):
        names(folder)


def test_two_links_one_after_the_other_do_not_lead_out(folder: Path, tmp_path: Path) -> None:
    (folder / "first").symlink_to("second")
    (folder / "second").symlink_to(tmp_path)
    with pytest.raises(OSError, match="model/first leads out"):
        names(folder)


def test_what_leads_nowhere_or_round_and_round_is_refused(folder: Path) -> None:
    link = folder / "link"
    link.symlink_to("gone")
    with pytest.raises(OSError, match=r"model/link leads to .*gone, where there is nothing"):
        names(folder)
    link.unlink()
    link.symlink_to("link")
    with pytest.raises(OSError, match="model/link leads to"):
        names(folder)
    link.unlink()
    (folder / "other").mkdir()
    (folder / "data" / "there").symlink_to("../other")
    (folder / "other" / "back").symlink_to("../data")
    with pytest.raises(OSError, match="there/back leads to a folder that it is in itself"):
        names(folder)


def test_what_cannot_be_copied_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(OSError, match="model/pipe is neither a file nor a folder"):
        names(folder)

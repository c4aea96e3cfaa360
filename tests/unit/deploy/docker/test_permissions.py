"""Files that a container's user cannot read are found before it is started."""

import os
from pathlib import Path

import pytest

from clipper.core.errors import DeployError
from clipper.deploy.docker.permissions import check_readable, tree

STRANGER = 4_000_000


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "weights").touch()
    for path in (folder, folder / "deep"):
        path.chmod(0o755)
    (folder / "deep" / "weights").chmod(0o644)
    return folder


def test_what_everybody_can_read_is_fine(saved: Path) -> None:
    check_readable(tree(saved), STRANGER, saved)
    check_readable(tree(saved / "deep" / "weights"), STRANGER, saved)


@pytest.mark.parametrize(
    ("name", "mode"), [(".", 0o700), ("deep", 0o744), ("deep/weights", 0o640), ("deep", 0o711)]
)
def test_what_it_cannot_read_or_enter_is_named_with_the_command_that_mends_it(
    saved: Path, name: str, mode: int
) -> None:
    (saved / name).chmod(mode)
    with pytest.raises(DeployError) as refused:
        check_readable(tree(saved), STRANGER, saved)
    assert f"{saved / name} cannot be read by user id {STRANGER}" in refused.value.message
    assert f"chmod -R a+rX {saved}" in refused.value.hint


def test_its_own_files_it_reads_by_the_owners_bits(saved: Path) -> None:
    (saved / "deep" / "weights").chmod(0o400)
    check_readable(tree(saved), os.getuid(), saved)


def test_a_link_to_nowhere_is_left_to_the_model(saved: Path) -> None:
    (saved / "link").symlink_to("/no/such/file")
    check_readable(tree(saved), STRANGER, saved)

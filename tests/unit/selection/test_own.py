"""Policies of one's own: found in the folder that was named, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clipper.core.errors import InvalidInput
from clipper.core.types import ModelId
from clipper.selection import own
from clipper.selection.policies import make_policy

LAST = """
from clipper.selection.policy import SelectionPolicy

class Last(SelectionPolicy):
    name = "last"

    def __init__(self, bonus: float = 0.0) -> None:
        self.bonus = bonus

    def shares(self, state, models):
        return [0.0] * (len(models) - 1) + [1.0]

class Other:
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "mine.py").write_text(LAST)
    own.use(str(tmp_path))
    yield tmp_path
    own.use("")


@pytest.mark.usefixtures("folder")
def test_a_class_in_a_file_is_a_policy_like_any_other() -> None:
    policy = make_policy("mine:Last", {"bonus": 1.0}, "zero_one")
    models = (ModelId("a", "1"), ModelId("b", "1"))
    assert policy.select(policy.init(), models, 0.0).models == models[1:]
    assert vars(policy) == {"bonus": 1.0}


def test_without_a_folder_there_is_none() -> None:
    with pytest.raises(InvalidInput, match="was given no folder") as refusal:
        make_policy("mine:Last", {}, "zero_one")
    assert "--policies-dir" in refusal.value.hint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("yours:Last", r"There is no file yours\.py"),
        ("../mine:Last", r"There is no file \.\./mine\.py"),
        ("os:path", r"There is no file os\.py"),
        ("mine:Missing", "has no selection policy 'Missing'"),
        ("mine:Other", "has no selection policy 'Other'"),
        ("broken:Last", "cannot be imported: ZeroDivisionError"),
    ],
)
def test_what_is_no_policy_is_refused_by_name(folder: Path, name: str, message: str) -> None:
    (folder / "broken.py").write_text("1 / 0")
    with pytest.raises(InvalidInput, match=message):
        make_policy(name, {}, "zero_one")


@pytest.mark.usefixtures("folder")
def test_a_parameter_that_it_does_not_take_is_refused() -> None:
    with pytest.raises(InvalidInput, match="mine:Last does not take"):
        make_policy("mine:Last", {"malus": 1}, "zero_one")

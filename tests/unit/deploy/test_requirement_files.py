"""Files of requirements."""

from pathlib import Path

import pytest

from clipper.core.errors import InvalidInput
from clipper.deploy.requirement_files import read_requirements


def test_comments_and_blank_lines_go(tmp_path: Path) -> None:
    file = tmp_path / "needs.txt"
    file.write_text("# as trained\n\nNumPy >= 2  # arrays\n")
    assert read_requirements(file) == ("NumPy >= 2",)


@pytest.mark.parametrize(
    ("line", "hint"),
    [("--index-url http://pypi.example/simple", "pip configuration"), ("two words", "name")],
)
def test_what_is_refused_is_named_by_file_and_line(tmp_path: Path, line: str, hint: str) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(f"numpy\n{line}\n")
    with pytest.raises(InvalidInput, match=r"requirements\.txt, line 2: The requirement") as no:
        read_requirements(file)
    assert hint in no.value.hint

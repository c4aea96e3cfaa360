"""Files of requirements."""

from pathlib import Path

import pytest

from clipper.core.errors import DeployError, InvalidInput
from clipper.deploy.requirement_files import read_requirements, requirements_of


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


def test_requirements_are_the_lines_beside_a_model_without_comments(tmp_path: Path) -> None:
    assert requirements_of(tmp_path) == ()
    text = "# what it was trained with\nnumpy==2.0  # not later\r\n\n  pandas>=2\nx[y] #z\n"
    (tmp_path / "requirements.txt").write_text(text, encoding="utf-8-sig")
    assert requirements_of(tmp_path) == ("numpy==2.0", "pandas>=2", "x[y]")
    (tmp_path / "model.pkl").touch()
    assert requirements_of(tmp_path / "model.pkl") == ()


def test_requirements_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"\xff\xfen\0u\0")
    with pytest.raises(DeployError, match=r"requirements\.txt', cannot be read"):
        requirements_of(tmp_path)
    (tmp_path / "requirements.txt").write_text("-f http://wheels.example\n")
    with pytest.raises(DeployError, match=r"requirements\.txt, line 1: .*'-f http"):
        requirements_of(tmp_path)

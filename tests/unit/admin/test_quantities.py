"""Sizes as people write them."""

from pathlib import Path

import pytest

from clipper.admin.commands.quantities import bytes_of, lines_of, size_of
from clipper.admin.errors import InvalidCall


@pytest.mark.parametrize(
    ("text", "number"),
    [("512m", 512 << 20), ("8g", 8 << 30), ("8GiB", 8 << 30), ("1.5k", 1536), ("100", 100)],
)
def test_a_size_is_read(text: str, number: int) -> None:
    assert bytes_of(text) == number
    assert bytes_of(size_of(number)) == number


@pytest.mark.parametrize("text", ["", "much", "-1g", "1e9", "8 gallons"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidCall, match="no size"):
        bytes_of(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidCall, match=r"needs\.txt cannot be read"):
        lines_of(tmp_path / "needs.txt")
    (tmp_path / "needs.txt").write_text("numpy\n--pre\n")
    with pytest.raises(InvalidCall, match=r"needs\.txt, line 2: .* options of pip"):
        lines_of(tmp_path / "needs.txt")

"""Following a log of which only the last lines can be asked for."""

import itertools
from typing import Any

import pytest

from clipper.admin.client import ClipperConnection
from clipper.admin.commands.logs import follow, news


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        ("", "", ""),
        ("", "ab", "ab"),
        ("ab", "ab", ""),
        ("ab", "abc", "c"),
        ("abc", "bcd", "d"),
        ("aab", "aba", "a"),
        ("abc", "xyz", "xyz"),
        ("abc", "", ""),
    ],
)
def test_only_lines_not_seen_before_are_news(before: str, after: str, new: str) -> None:
    assert list(news(list(before), list(after))) == list(new)


def test_following_starts_with_the_tail_and_goes_on(
    daemon: Any, clipper: ClipperConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    clipper.register_model("m", 1, "floats")
    daemon.logs = ["one", "two", "three"]
    written = iter(["four", "five"])
    monkeypatch.setattr("time.sleep", lambda _: daemon.logs.append(next(written)))
    lines = follow(clipper, "m", "1", tail=2, replica=0)
    assert list(itertools.islice(lines, 4)) == ["two", "three", "four", "five"]

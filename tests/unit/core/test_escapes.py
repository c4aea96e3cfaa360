"""Texts of others, which must not steer a terminal."""

import json

import pytest

from clipper.core.escapes import in_json, lines, one_line

HOSTILE = "a\x1b]52;c;aGk=\x07b\x9b2Jc\r\x7f"
SHOWN = r"a\x1b]52;c;aGk=\x07b\x9b2Jc\r\x7f"


def test_control_characters_are_shown_by_their_numbers() -> None:
    assert one_line(HOSTILE) == lines(HOSTILE) == SHOWN
    assert one_line("one\n\ttwo") == r"one\n\ttwo"
    assert lines("one\n\ttwo") == "one\n\ttwo"


@pytest.mark.parametrize("text", ["größe 2 µs", "[bold]", "日本", ""])
def test_what_can_be_shown_stays_as_it_is(text: str) -> None:
    assert one_line(text) == lines(text) == in_json(text) == text


def test_json_stays_json() -> None:
    text = json.dumps(HOSTILE, ensure_ascii=False)
    assert json.loads(in_json(text)) == HOSTILE
    assert in_json(text).isprintable()

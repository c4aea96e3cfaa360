"""Texts of others on a log or a terminal: what would steer it is shown by its number instead.

Escape sequences move the cursor, write the clipboard and hide what was said; a line's end makes two
lines of one.
"""

_CONTROL = {code: repr(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0))}
_IN_LINES = {code: text for code, text in _CONTROL.items() if chr(code) not in "\n\t"}
_IN_JSON = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def one_line(text: str) -> str:
    """A text as one line, without any control characters."""
    return text.translate(_CONTROL)


def lines(text: str) -> str:
    """A text of several lines, which may have tabs in them."""
    return text.translate(_IN_LINES)


def in_json(text: str) -> str:
    """Text that is JSON, which it stays; JSON itself has only the first of them escaped."""
    return text.translate(_IN_JSON)

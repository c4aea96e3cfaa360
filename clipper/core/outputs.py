"""Outputs and their JSON text, encoded once, where the output comes in."""

from typing import Any

import msgspec

from clipper.core.types import Output

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

CONTAINERS = (list, dict)
NOT_JSON = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What msgspec raises for a text that it cannot read."""


def output_of(value: Any) -> Output:
    """An output of any JSON value."""
    return Output(value, _encode(value))


def json_text(value: Any) -> str:
    """A JSON value as text."""
    return _encode(value).decode()


def held_bytes(output: Output) -> int:
    """About what an output takes in memory; the items of an array cost more than their text."""
    text = output.json
    size = 2 * len(text)
    if type(output.value) in CONTAINERS:
        size += 32 * text.count(b",") + 64 * text.count(b"[") + 200 * text.count(b"{")
    return size


def parse_text(text: bytes) -> Output:
    """A text as JSON if it parses, else as the string that it is: `1` -> 1, `None` -> "None".

    Raises:
        UnicodeDecodeError: not UTF-8.
    """
    try:
        return output_of(_decode(text))
    except NOT_JSON:
        return output_of(text.decode())


def parse_json(text: bytes) -> Output:
    """A JSON text.

    Raises:
        ValueError: not JSON.
    """
    try:
        return output_of(_decode(text))
    except NOT_JSON as error:
        raise ValueError(str(error)) from None

"""Request bodies of the admin routes: JSON whatever the Content-Type says, and nothing laxer."""

from collections.abc import Collection, Mapping
from reprlib import Repr
from typing import Any

import msgspec

from clipper.core.errors import InvalidInput

INT32 = range(-(2**31), 2**31)

_short = Repr()
_short.maxstring = _short.maxother = 80


def parse_json(body: bytes) -> Any:
    """Decode strict JSON: no NaN, no number out of range, no byte order mark, no deep nesting.

    Raises:
        InvalidInput: it is not that; the message says what is wrong and where.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:  # a ValidationError is one, too
        raise InvalidInput(str(error)) from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"not UTF-8: {error.reason}") from None
    except RecursionError:
        raise InvalidInput("nested too deeply") from None


def shown(value: object) -> str:
    """A foreign value as it is repeated in an error: short, and on one line."""
    return _short.repr(value)


class Fields:
    """The JSON object of an old admin route, read key by key with the old release's complaints."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    @classmethod
    def parse(cls, body: bytes) -> "Fields":
        """Read a request's body.

        Raises:
            InvalidInput: it is no JSON object.
        """
        try:
            values = parse_json(body)
        except InvalidInput as error:
            raise _malformed(error.message) from None
        if not isinstance(values, dict):
            raise _malformed(f"Can only get key-value pair from an object, not {shown(values)}")
        return cls(values)

    def keys(self) -> Collection[str]:
        """What is given, asked for or not."""
        return self._values.keys()

    def optional(self, key: str) -> Any:
        """The value of a key, None if it is not there."""
        return self._values.get(key)

    def text(self, key: str) -> str:
        """A required string."""
        value = self._required(key)
        if not isinstance(value, str):
            raise _mismatch(key, "string", value)
        return value

    def texts(self, key: str) -> list[str]:
        """A required array of strings."""
        value = self._required(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _mismatch(key, "array of strings", value)
        return value

    def int32(self, key: str) -> int:
        """A required integer literal of 32 bits."""
        value = self._required(key)
        if type(value) is not int or value not in INT32:  # true is an int to isinstance
            raise _mismatch(key, "32-bit integer", value)
        return value

    def flag(self, key: str) -> bool:
        """A required boolean."""
        value = self._required(key)
        if not isinstance(value, bool):
            raise _mismatch(key, "boolean", value)
        return value

    def _required(self, key: str) -> Any:
        if key not in self._values:
            raise _malformed(f"JSON object does not have required key: {key}")
        return self._values[key]


def _mismatch(key: str, expected: str, value: object) -> InvalidInput:
    return _malformed(f"Type mismatch! JSON key {key} expected type {expected}, not {shown(value)}")


def _malformed(cause: str) -> InvalidInput:
    return InvalidInput(f"Error parsing JSON: {cause}")

"""Bodies of queries to inputs, by the application's input type.

One pass of msgspec checks the types and makes the Python values; `struct` packs them into the bytes
that the cache compares and the wire carries. What does not fit the common form, such as a nested
array, is decoded again without a schema, where there is time for tensors and for exact complaints.
"""

import binascii
from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from struct import Struct
from struct import error as StructError
from typing import Annotated, Any, NoReturn, cast

import msgspec

from clipper.core.errors import InvalidInput
from clipper.core.outputs import NOT_JSON
from clipper.core.types import Input
from clipper.frontend.body import shown
from clipper.frontend.options import check_context, seconds

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
MAX_DIMENSIONS = 32
MAX_INPUTS = 10_000
"""In one request: small inputs cost far more memory as queries than as text."""
FLOAT32_MAX = 3.4028235677973366e38
"""The smallest magnitude that rounds to infinity as a float32."""

NOT_NUMBERS = "NaN and Infinity are not JSON; every number of `input` has to be finite."


class MalformedQuery(InvalidInput):
    """The body is no query of this application."""

    code = "malformed_query"


@lru_cache(maxsize=1024)
def _layout(count: int, code: str) -> Struct:
    return Struct(f"<{count}{code}")


def _pack_vector(code: str) -> Callable[[Any], Input]:
    def pack(values: list[Any]) -> Input:
        try:
            return Input(_layout(len(values), code).pack(*values))
        except (OverflowError, StructError):
            _refuse_number(values)

    return pack


def _refuse_number(values: list[Any]) -> NoReturn:
    for index, value in enumerate(values):
        if abs(value) >= FLOAT32_MAX:
            raise MalformedQuery(
                f"input[{index}] is {value}, which is outside the range of float32"
            )
    raise MalformedQuery("The input has a number that is out of range.")


def _pack_text(text: str) -> Input:
    return Input(text.encode())


def _pack_base64(text: str) -> Input:
    try:
        return Input(binascii.a2b_base64(text, strict_mode=True))
    except (binascii.Error, ValueError) as error:
        raise MalformedQuery(f"The input is not valid base64: {error}") from None


canonical = msgspec.json.Encoder().encode


def _pack_json(value: Any) -> Input:
    try:
        return Input(canonical(value))
    except RecursionError:
        raise MalformedQuery("The input is nested too deeply.") from None


class QueryBody(msgspec.Struct):
    """What every body may have; each codec adds `input` and `input_batch` in its own type."""

    input: Any = msgspec.UNSET
    input_batch: Any = msgspec.UNSET
    version: str | None = None
    context: str | None = None
    slo_ms: float | None = None


class QueryRequest(msgspec.Struct, frozen=True):
    """A decoded body."""

    inputs: list[Input]
    """One for `input`, as many as there are for `input_batch`."""
    version: str | None
    context: str | None
    slo_s: float | None


class Codec:
    """Decodes the bodies of one input type."""

    def __init__(self, element: Any, pack: Callable[[Any], Input], *, is_array: bool) -> None:
        """`element` is the type of one input, `pack` turns it into bytes."""
        fields = [
            ("input", element | msgspec.UnsetType, msgspec.UNSET),
            ("input_batch", list[element] | msgspec.UnsetType, msgspec.UNSET),
        ]
        body = cast(type[QueryBody], msgspec.defstruct("Body", fields, bases=(QueryBody,)))
        self._decode = msgspec.json.Decoder(body).decode
        self.pack = pack
        self._element = element
        self._is_array = is_array

    def read(self, raw: bytes, check_version: Callable[[str], object]) -> QueryRequest:
        """A body's queries; the version is checked before the input.

        Raises:
            MalformedQuery: it is no query of this type.
            InvalidInput: `check_version` refused the version, or an SLO is not above 0.
        """
        try:
            body = self._decode(raw)
        except NOT_JSON:
            return self._read_loosely(raw, check_version)
        if body.version is not None:
            check_version(body.version)
        if body.input is not msgspec.UNSET:
            inputs = [self.pack(body.input)]
        elif body.input_batch is not msgspec.UNSET:
            inputs = list(map(self.pack, _bounded(body.input_batch)))
        else:
            raise MalformedQuery("The body has neither `input` nor `input_batch`.")
        context, slo_ms = body.context, body.slo_ms
        if context is not None:
            check_context(context)
        slo_s = None if slo_ms is None else seconds(slo_ms)
        return QueryRequest(inputs, body.version, context, slo_s)

    def _read_loosely(self, raw: bytes, check_version: Callable[[str], object]) -> QueryRequest:
        body = _decode_loosely(raw)
        version = _text(body, "version")
        if version is not None:
            check_version(version)
        if "input" in body:
            values = [body["input"]]
        elif isinstance(body.get("input_batch"), list):
            values = _bounded(body["input_batch"])
        else:
            raise MalformedQuery("The body has neither `input` nor an array `input_batch`.")
        inputs = [self.pack_any(value) for value in values]
        context = check_context(_text(body, "context"))
        return QueryRequest(inputs, version, context, seconds(body.get("slo_ms")))

    def pack_any(self, value: Any) -> Input:
        """An input from an already decoded JSON value: a plain one, or a nested array.

        Raises:
            MalformedQuery: it is not of this type, or not rectangular.
        """
        try:
            if self._is_array and isinstance(value, list) and any(type(x) is list for x in value):
                shape, numbers = _flatten(value)
                return Input(self.pack(msgspec.convert(numbers, self._element)).data, shape)
            return self.pack(msgspec.convert(value, self._element))
        except msgspec.ValidationError as error:
            raise MalformedQuery(f"input: {error}") from None


def _flatten(value: list[Any]) -> tuple[tuple[int, ...], list[Any]]:
    """The shape of a rectangular nested array, and what is in it in a row.

    An image is hundreds of thousands of numbers, so that no step may be Python's for each of them.

    Raises:
        MalformedQuery: it is ragged, or nested too deeply.
    """
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        sizes = set(map(len, level)) if set(map(type, level)) == {list} else set()
        if len(sizes) != 1 or len(shape) == MAX_DIMENSIONS:
            raise MalformedQuery(
                f"The input is no rectangular array: at depth {len(shape)}, lengths differ, "
                f"or it has more than {MAX_DIMENSIONS} dimensions."
            )
        shape.append(sizes.pop())
        level = list(chain.from_iterable(level))
    return tuple(shape), level


CODECS: dict[str, Codec] = {
    "integers": Codec(list[Int32], _pack_vector("i"), is_array=True),
    "floats": Codec(list[float], _pack_vector("f"), is_array=True),
    "doubles": Codec(list[float], _pack_vector("d"), is_array=True),
    "strings": Codec(str, _pack_text, is_array=False),
    "bytes": Codec(str, _pack_base64, is_array=False),
    "json": Codec(Any, _pack_json, is_array=False),
}


def _decode_loosely(raw: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(raw)
    except NOT_JSON as error:
        _refuse_field(raw)
        hint = NOT_NUMBERS if b"NaN" in raw or b"Infinity" in raw else ""
        raise MalformedQuery(f"The body is not valid JSON: {error}", hint=hint) from None
    if not isinstance(body, dict):
        raise MalformedQuery(f"The body is a JSON {type(body).__name__}, not an object.")
    return body


def _refuse_field(raw: bytes) -> None:
    """Name the member that cannot be read, if the others can: a number that is out of range."""
    try:
        members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except NOT_JSON:
        return
    for key, text in members.items():
        try:
            msgspec.json.decode(text)
        except NOT_JSON as error:
            raise MalformedQuery(f"{key[:80]}: {error}") from None


def _bounded(inputs: list[Any]) -> list[Any]:
    if len(inputs) > MAX_INPUTS:
        raise InvalidInput(
            f"input_batch has {len(inputs)} inputs; one request may have {MAX_INPUTS}.",
            hint="Send several requests.",
        )
    return inputs


def _text(body: dict[str, Any], key: str) -> str | None:
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise MalformedQuery(f"{key} is {shown(value)}; it must be a string.")
    return value

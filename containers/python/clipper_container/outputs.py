"""What `predict_batch` returned to columns.

Numbers of one kind travel as one block of typed bytes, texts as text, everything else as JSON text.
A number keeps its kind: an integer beyond int64 goes as JSON, and 1 next to 2.5 stays an integer.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipper_container import model_pb2
from clipper_container.model_pb2 import Outputs

Array = NDArray[Any]

TEXTS: frozenset[type] = frozenset({str, np.str_})
BOOLS: frozenset[type] = frozenset({bool, np.bool_})
# By name, because numpy counts its timedelta64 among the integers.
INTEGERS: frozenset[type] = frozenset(
    {int, np.int8, np.int16, np.int32, np.int64, np.longlong}
    | {np.uint8, np.uint16, np.uint32, np.uint64, np.ulonglong}
)
FLOATS: frozenset[type] = frozenset({float, np.float16, np.float32, np.float64, np.longdouble})

PLAIN_KINDS = "biufOUT"
"""The kinds of arrays that `tolist` turns into what JSON has; of dates it makes bare integers."""
INT64_MAX = 2**63 - 1
EXPECTED = "return an array or a list with one output for each input, in their order."


class InvalidOutputs(Exception):
    """The model's answer is no answer to its batch."""


def encode_outputs(answer: Any, size: int) -> Outputs:
    """The answer to a batch of the given size, as columns.

    Raises:
        InvalidOutputs: not one output for each input, NaN, or something that JSON cannot express.
    """
    outputs = answer if type(answer) in (np.ndarray, list) else _sequence(answer)
    if isinstance(outputs, np.ndarray) and outputs.ndim == 0:
        raise InvalidOutputs(f"predict_batch returned one {_name(answer)}; {EXPECTED}")
    if len(outputs) != size:
        raise InvalidOutputs(
            f"predict_batch returned {len(outputs)} outputs for {size} inputs; {EXPECTED}"
        )
    return _of_array(outputs) if isinstance(outputs, np.ndarray) else _of_list(outputs)


def _sequence(answer: Any) -> Array | Sequence[Any]:
    if isinstance(answer, np.ma.MaskedArray):
        raise InvalidOutputs("predict_batch returned a masked array; fill it first.")
    if isinstance(answer, str | bytes | Mapping | Set) or answer is None:
        raise InvalidOutputs(f"predict_batch returned {_name(answer)}; {EXPECTED}")
    if hasattr(answer, "__array__"):  # pandas, torch
        return np.asarray(answer)
    if isinstance(answer, Iterable):
        return list(answer)
    raise InvalidOutputs(f"predict_batch returned {_name(answer)}; {EXPECTED}")


def _of_array(array: Array) -> Outputs:
    kind = array.dtype.kind
    if kind == "f":
        wide = array.dtype.itemsize > 4
        return _floats(array.astype("<f8" if wide else "<f4", copy=False), wide)
    if kind == "b":
        return _numbers(model_pb2.BOOL, array)
    if kind == "i" or (kind == "u" and array.max(initial=0) <= INT64_MAX):
        return _numbers(model_pb2.INT64, array.astype("<i8", copy=False))
    if kind in PLAIN_KINDS:
        return _of_list(array.tolist()) if kind != "u" else _json(array.tolist())
    raise InvalidOutputs(
        f"predict_batch returned an array of {array.dtype}, which has no JSON form; "
        "return numbers, booleans or texts."
    )


def _floats(array: Array, wide: bool) -> Outputs:
    if not np.isfinite(array).all():
        index = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        raise InvalidOutputs(
            f"Output {index[0]} of the batch has {array[index]} in it; outputs are finite numbers."
        )
    return _numbers(model_pb2.FLOAT64 if wide else model_pb2.FLOAT32, array)


def _numbers(output_type: model_pb2.OutputType, array: Array) -> Outputs:
    return Outputs(type=output_type, size=len(array), data=array.tobytes(), dims=array.shape[1:])


def _of_list(outputs: Sequence[Any]) -> Outputs:
    kinds = set(map(type, outputs))
    if kinds <= TEXTS:
        return _text(outputs)
    if kinds <= FLOATS:
        return _of_array(np.array(outputs))
    if kinds <= INTEGERS:
        return _integers(outputs)
    if kinds <= BOOLS:
        return _of_array(np.array(outputs, dtype=bool))
    if kinds == {np.ndarray} and _stackable(outputs):
        return _of_array(np.stack(outputs))
    return _json(outputs)


def _integers(outputs: Sequence[Any]) -> Outputs:
    try:
        # By way of int: numpy would wrap its own uint64, and make floats of a mixture.
        return _of_array(np.array(list(map(int, outputs)), dtype=np.int64))
    except OverflowError:
        return _json(outputs)


def _stackable(arrays: Sequence[Array]) -> bool:
    first = arrays[0]
    return first.dtype.kind in "biuf" and all(
        array.shape == first.shape and array.dtype == first.dtype for array in arrays
    )


def _text(texts: Sequence[str]) -> Outputs:
    return _blocks(model_pb2.TEXT, texts, str.encode)


def _json(values: Sequence[Any]) -> Outputs:
    return _blocks(model_pb2.JSON_TEXT, values, lambda value: _encoder.encode(value).encode())


def _blocks(
    output_type: model_pb2.OutputType, outputs: Sequence[Any], encode: Callable[[Any], bytes]
) -> Outputs:
    blocks: list[bytes] = []
    try:
        for output in outputs:
            blocks.append(encode(output))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidOutputs(
            f"Output {len(blocks)} of the batch cannot be written as text or JSON: {error}. "
            "Return finite numbers, texts, booleans, None, and lists, dicts and arrays of them."
        ) from None
    lengths = list(map(len, blocks))
    return Outputs(type=output_type, size=len(blocks), data=b"".join(blocks), lengths=lengths)


def _plain(value: Any) -> Any:
    """What the JSON encoder does not know: numpy's numbers and arrays, wherever they are nested."""
    if type(value) in BOOLS:
        return bool(value)
    if type(value) in INTEGERS:
        return int(value)
    if type(value) in FLOATS:
        return float(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in PLAIN_KINDS:
        return value.tolist()
    detail = f" of {value.dtype}" if isinstance(value, np.ndarray) else ""
    raise TypeError(f"{_name(value)}{detail} has no JSON form")


_encoder = json.JSONEncoder(
    allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_plain
)


def _name(value: Any) -> str:
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"

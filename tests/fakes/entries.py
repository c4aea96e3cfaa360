"""Entries as the exact cache has them, for what holds them without it."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from clipper.core.types import Input, Output


class FakeEntry(msgspec.Struct, eq=False):
    """An input and its output; `code` belongs to the index."""

    input: Input
    output: Output = Output(1, b"1")
    code: int | None = None


def vector(values: Sequence[float] | npt.NDArray[np.float64], dtype: str = "<f4") -> Input:
    """A plain vector as it comes from the frontend."""
    return Input(np.asarray(values).astype(dtype).tobytes())

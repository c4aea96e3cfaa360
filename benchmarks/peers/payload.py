"""Request bodies of which no two are alike, and the same input in each system's dialect.

A body is a template of fixed length with two places for six digits each, so that load generators
need only fill in a number; the numbers around them are random, and the same for all systems.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from http_answer import post

SERIAL = "0.1777777"
"""Stands for the number of the request: 0.1, then six digits, which float32 can tell apart."""
RUN = "0.1999999"
"""Stands for the number of the run."""
DIGITS = 6
WIDTHS = {"noop": 8, "classifier": 784, "sleeping": 8, "forest": 64}


@dataclass(frozen=True, slots=True)
class Payload:
    """One system's requests for one model."""

    path: str
    template: str

    def body(self, serial: int, run: int) -> bytes:
        """The body of one request."""
        text = self.template.replace(SERIAL, placed(serial)).replace(RUN, placed(run))
        return text.encode("ascii")

    def requests(self, count: int, run: int) -> list[bytes]:
        """As many whole requests, all different."""
        request = post(self.path, self.body(0, run)).decode("ascii")
        head, tail = request.replace(placed(0), SERIAL, 1).split(SERIAL)
        return [f"{head}{placed(serial)}{tail}".encode("ascii") for serial in range(1, count + 1)]


def placed(number: int) -> str:
    """A number as it stands in a body."""
    return f"0.1{number % 10**DIGITS:0{DIGITS}d}"


def values(model: str) -> list[str]:
    """The numbers of an input, with both places."""
    rng = np.random.default_rng(1)
    return [SERIAL, RUN, *(f"{value:.6f}" for value in rng.random(WIDTHS[model] - 2))]


def row(payload: Payload, serial: int, run: int) -> list[float]:
    """The numbers that a body holds, whatever the dialect."""
    return numbers(json.loads(payload.body(serial, run)))


def numbers(value: Any) -> list[float]:
    """All floats of a JSON value, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, float) else []


def plain(model: str, nesting: int = 1) -> str:
    """`{"input": [...]}`, as Clipper takes it; or a batch of one, `[[...]]`."""
    return f'{{"input": {"[" * nesting}{", ".join(values(model))}{"]" * nesting}}}'


def v2(model: str) -> str:
    """The V2 inference protocol, spoken by MLServer and Triton."""
    inputs = values(model)
    datatype = "FP64" if model == "classifier" else "FP32"
    return (
        f'{{"inputs": [{{"name": "input", "shape": [1, {len(inputs)}], "datatype": "{datatype}", '
        f'"data": [{", ".join(inputs)}]}}]}}'
    )

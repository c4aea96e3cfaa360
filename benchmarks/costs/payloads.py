"""Requests with inputs that nobody asked about before, built before the clock runs."""

from collections.abc import Iterator
from itertools import count

import numpy as np

from clipper.admin.frames import MEDIA_TYPE, frame_of

JSON, FRAMES = "JSON", "frames"
DISTINCT = 3_000_000
"""With a million added, all of them are float32 exactly, and as long as text."""
_count = count()


def fresh() -> int:
    """A number that was not used before."""
    return 1_000_000 + next(_count) % DISTINCT


def unique(
    app: str = "app", numbers: int = 8, form: str = JSON, inputs: int = 1, version: str = ""
) -> Iterator[bytes]:
    """Requests of so many inputs of so many floats, each different from all others."""
    values = np.random.default_rng(1).random(numbers, dtype=np.float32)
    tail = ", ".join(f"{value:.4f}" for value in values[1:])
    rest = f', "version": "{version}"' if version else ""
    while True:
        if form == FRAMES:
            values[0] = fresh()
            yield request(app, _frame(values), MEDIA_TYPE)
            continue
        texts = [f"[{fresh()}, {tail}]" for _ in range(inputs)]
        key = f'"input": {texts[0]}' if inputs == 1 else f'"input_batch": [{", ".join(texts)}]'
        yield request(app, f"{{{key}{rest}}}".encode())


def _frame(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> bytes:
    frame = frame_of(values)
    assert frame is not None
    return frame


def request(app: str, body: bytes, media_type: str = "application/json") -> bytes:
    """As wrk and most clients send it."""
    head = (
        f"POST /{app}/predict HTTP/1.1\r\nHost: 127.0.0.1:1337\r\n"
        f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body

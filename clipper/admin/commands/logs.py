"""Following a log that can only be asked for its last lines."""

import time
from collections.abc import Iterator, Sequence

from clipper.admin.client import ClipperConnection

POLL_S = 0.5
WINDOW = 1000
"""Lines asked for at a time; what is written faster than that between two polls is skipped."""


def follow(
    clipper: ClipperConnection, name: str, version: str, *, tail: int, replica: int
) -> Iterator[str]:
    """The last lines of a replica's log, then what it writes from now on; never ends."""
    seen = clipper.get_model_logs(name, version, tail=WINDOW, replica=replica)
    yield from seen[-tail:]
    while True:
        time.sleep(POLL_S)
        lines = clipper.get_model_logs(name, version, tail=WINDOW, replica=replica)
        yield from news(seen, lines)
        seen = lines


def news(before: Sequence[str], after: Sequence[str]) -> Sequence[str]:
    """What follows, in `after`, the longest end of `before` that `after` begins with."""
    for start in range(len(before) + 1):
        overlap = len(before) - start
        if list(after[:overlap]) == list(before[start:]):
            return after[overlap:]
    return after

"""Clocks: one for what happens now, one for records that are read later."""

import asyncio
import time
from collections.abc import Callable


def utc_now() -> float:
    """Seconds since the epoch, UTC."""
    return time.time()  # noqa: TID251 - the one place that may ask


def loop_clock() -> Callable[[], float]:
    """The running loop's clock, for deadlines and durations, in seconds.

    uvloop's own `time` is that of the current iteration, in whole milliseconds; the clock behind it
    is read directly. Any other loop's is asked, so that tests may run in virtual time.
    """
    loop = asyncio.get_running_loop()
    return time.monotonic if type(loop).__module__.startswith("uvloop") else loop.time

"""Work on many things in slices, soon: in between, the event loop hears of what else has happened.

To tell hundreds of queries what became of them takes milliseconds. The loop would read no request
meanwhile, and hear from no replica.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

SLICE = 32


def in_slices(call: Callable[[T], None], things: Iterable[T]) -> None:
    """Call with each thing, in order, from the next turn of the loop on."""
    asyncio.get_running_loop().call_soon(_work, call, deque(things))


def _work(call: Callable[[T], None], things: deque[T]) -> None:
    """A slice of them; one that fails does not keep the others from being called."""
    try:
        for _ in range(min(SLICE, len(things))):
            call(things.popleft())
    finally:
        if things:
            asyncio.get_running_loop().call_soon(_work, call, things)

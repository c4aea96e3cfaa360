"""Work on many things in slices: in between, the event loop hears of what else has happened.

To tell hundreds of queries what became of them takes milliseconds. The loop would read no request
meanwhile, and hear from no replica.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SLICE = 128


def in_slices(
    call: Callable[[T], None], things: deque[T], then: Callable[[], None] | None = None
) -> None:
    """Call with each thing, in order: a slice of them now, the next in the loop's next turn.

    A call that fails is the loop's exception handler's to report, and no other's business. `then`
    is called after the last.
    """
    for _ in range(min(SLICE, len(things))):
        try:
            call(things.popleft())
        except Exception as error:  # noqa: BLE001
            context = {"message": f"{call} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
    if things:
        asyncio.get_running_loop().call_soon(in_slices, call, things, then)
    elif then is not None:
        then()

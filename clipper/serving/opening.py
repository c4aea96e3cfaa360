"""Opening the store, which may come later than we do."""

import asyncio
from collections.abc import Callable

from clipper.core.errors import NewerSchema, StateError
from clipper.state.store import Store

OPEN_RETRY_S = 0.2
OPEN_RETRY_MAX_S = 5.0


async def open_when_there(store: Store, unavailable: Callable[[StateError], None]) -> None:
    """Return when the store is open; `unavailable` is told each time that it cannot be yet."""
    delay_s = OPEN_RETRY_S
    while True:
        try:
            await store.open()
            return
        except NewerSchema as error:
            # Waiting will not mend it, but a live daemon can say what is wrong.
            unavailable(error)
            delay_s = OPEN_RETRY_MAX_S
        except StateError as error:
            unavailable(error)
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, OPEN_RETRY_MAX_S)

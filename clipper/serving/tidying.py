"""What deleted versions leave behind is removed: environments, images, packages, logs.

Not at once: their replicas may still be ending, and who deletes a version often deploys another.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

from clipper.core.errors import ClipperError

DELAY_S = 10.0
"""From a deletion on; replicas that are asked to stop have ended by then, or are killed soon."""
PERIOD_S = 3600.0
"""However quiet it is: what was new, or in use, the last time may be garbage now."""

log = logging.getLogger(__name__)

Forget = Callable[[], Awaitable[None]]
"""Removes something that no version needs any more."""


class Tidier:
    """Has everybody who keeps something forget what is not needed."""

    def __init__(self, forgets: Callable[[], Sequence[Forget]]) -> None:
        """`forgets` is asked anew each time: what is needed changes."""
        self._forgets = forgets
        self._due = asyncio.Event()

    def deleted(self) -> None:
        """A version is gone."""
        self._due.set()

    async def run(self) -> NoReturn:
        """Tidy up after deletions, and now and then."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_S):
                    await self._due.wait()
            await asyncio.sleep(DELAY_S)
            self._due.clear()
            for forget in self._forgets():
                try:
                    await forget()
                except (ClipperError, OSError) as error:
                    log.warning("Not tidied up: %s", error, extra={"action": "untidy"})

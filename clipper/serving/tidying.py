"""What deleted versions leave behind is removed: environments, images, packages, logs.

Not at once: their replicas may still be ending, and who deletes a version often deploys another.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from typing import NoReturn, Protocol

from clipper.core.errors import ClipperError
from clipper.core.types import Deployment

DELAY_S = 10.0
"""From a deletion on; replicas that are asked to stop have ended by then, or are killed soon."""
PERIOD_S = 3600.0
"""However quiet it is: what was new, or in use, the last time may be garbage now."""

log = logging.getLogger(__name__)


class Keeping(Protocol):
    """Who keeps something on behalf of versions."""

    async def forget(self, deployments: Collection[Deployment]) -> None:
        """Remove what only versions need that are not among these."""


class Tidier:
    """Has everybody forget what no version needs any more."""

    def __init__(
        self,
        keeping: Callable[[], Sequence[Keeping]],
        deployments: Callable[[], Collection[Deployment]],
    ) -> None:
        self._keeping = keeping
        self._deployments = deployments
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
            for one in self._keeping():
                try:
                    await one.forget(self._deployments())
                except ClipperError as error:
                    log.warning("Not tidied up: %s", error.message, extra={"action": "untidy"})

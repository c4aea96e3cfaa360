"""How a replica comes to serve: an attachment from when its container runs until it is let go.

Either this process asks the replica itself, or other processes do so in its stead.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from clipper.abstraction.dispatcher import Dispatcher, Replica
from clipper.abstraction.layer import ServedModel
from clipper.core.types import Description, InputType, ReplicaId
from clipper.deploy.manager import Container
from clipper.serving.figures import ReplicaFigures


class ReplicaLink(Replica, Protocol):
    """A connection to a container."""

    input_type: InputType | None
    """What is sent over it; None where the model is to say, until `connected` has settled it."""
    description: Description
    """What the container says of itself, once it is connected."""

    async def connect(self) -> None:
        """Return when the model is loaded; raises ReplicaFailed."""

    async def broken(self) -> None:
        """Raises ReplicaFailed when the connection breaks, also while nothing is asked of it."""

    async def close(self) -> None:
        """Let go of it."""


Connector = Callable[[ReplicaId, InputType | None, str, str], ReplicaLink]
"""(replica, input type, address, token) -> a link that is not connected yet."""


class Attachment(Protocol):
    """One life of a replica as whoever keeps it alive sees it."""

    async def connect(self) -> None:
        """Return when it can be asked; raises ReplicaFailed."""

    async def serve(self) -> None:
        """Have it take batches until told to stop; raises ReplicaFailed when it breaks off."""

    async def broken(self) -> None:
        """Raises ReplicaFailed when the connection breaks, also while nothing is asked of it."""

    def stop(self) -> None:
        """It takes no further batch; `serve` returns when the one in hand is answered."""

    async def close(self) -> None:
        """Let go of it."""

    def figures(self) -> ReplicaFigures | None:
        """What it does; None while it takes no batches."""


Attach = Callable[[ReplicaLink, ServedModel, Container], Attachment]


async def connected(link: ReplicaLink, served: ServedModel) -> None:
    """Connect, and settle the input type where that was left to the model.

    Raises:
        ReplicaFailed: nobody is there, or not who was expected.
    """
    await link.connect()
    if link.input_type is None:
        link.input_type = link.description.input_type or served.model.input_type
        served.adopt(replace(served.model, input_type=link.input_type))


class Here:
    """This process asks the replica itself."""

    def __init__(
        self, link: ReplicaLink, served: ServedModel, container: Container | None = None
    ) -> None:
        self._link = link
        self._served = served
        self._dispatcher: Dispatcher | None = None

    async def connect(self) -> None:
        await connected(self._link, self._served)
        self._dispatcher = self._served.dispatcher(self._link)

    async def serve(self) -> None:
        assert self._dispatcher is not None, "not connected"
        await self._served.serve(self._dispatcher)

    async def broken(self) -> None:
        await self._link.broken()

    def stop(self) -> None:
        if self._dispatcher is not None:
            self._dispatcher.stop()

    async def close(self) -> None:
        await self._link.close()

    def figures(self) -> ReplicaFigures | None:
        return None if self._dispatcher is None else ReplicaFigures.of(self._dispatcher.member)

"""The processes that answer queries in this one's stead, where there are any.

With one process, the rule, there is nobody to tell and nothing to add up.
"""

from collections.abc import Sequence
from typing import Protocol

from clipper.abstraction.layer import ServedModel
from clipper.core.config import Config
from clipper.deploy.manager import Container
from clipper.serving.attachment import Attachment, Here, ReplicaLink
from clipper.serving.engine import Gone
from clipper.serving.figures import Figures


class Workforce(Protocol):
    """Other processes; or nobody."""

    @property
    def size(self) -> int:
        """How many processes answer queries when all is well."""

    @property
    def serving(self) -> int:
        """How many do now."""

    def attach(self, link: ReplicaLink, served: ServedModel, container: Container) -> Attachment:
        """Have a replica serve."""

    async def adopt(self, config: Config, gone: Gone) -> None:
        """Return when everybody serves what the configuration says."""

    async def total(self, own: Figures) -> Figures:
        """What all have counted together; only our own numbers where we are alone."""

    def trouble(self) -> Sequence[str]:
        """Why queries would not be answered, as far as that is up to others."""

    async def close(self) -> None:
        """Everybody may go."""


class Alone:
    """This process answers everything itself."""

    size = serving = 1

    def attach(self, link: ReplicaLink, served: ServedModel, container: Container) -> Attachment:
        return Here(link, served)

    async def adopt(self, config: Config, gone: Gone) -> None:
        """There is nobody to tell."""

    async def total(self, own: Figures) -> Figures:
        return own

    def trouble(self) -> Sequence[str]:
        return ()

    async def close(self) -> None:
        """There is nobody to wait for."""

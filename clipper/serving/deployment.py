"""Deploying a version: tried out first, registered only when a replica of it is ready.

So the version that is current serves until the new one can, and a failed deploy changes nothing.
"""

import asyncio
import logging
from dataclasses import dataclass

from clipper.abstraction.layer import ModelAbstractionLayer
from clipper.core.errors import AlreadyExists, ClipperError, InvalidInput
from clipper.core.types import Model, ModelId
from clipper.serving.catalogue import Catalogue
from clipper.serving.fleet import Fleet

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a deploy is."""

    phase: str
    """`starting`: its first replica loads; `registering`: it becomes current."""
    started: float
    """Loop time."""

    @property
    def elapsed_s(self) -> float:
        """Since the deploy began."""
        return asyncio.get_running_loop().time() - self.started


class Deployer:
    """Deploys versions, each once at a time."""

    def __init__(self, catalogue: Catalogue, fleet: Fleet, layer: ModelAbstractionLayer) -> None:
        self.in_progress: dict[ModelId, Progress] = {}
        self._catalogue = catalogue
        self._fleet = fleet
        self._layer = layer

    async def deploy(self, model: Model, timeout_s: float, *, keeps_current: bool = False) -> None:
        """Return when a replica is ready and the version is registered.

        It is current then, unless the one before shall stay so.

        Raises:
            AlreadyExists: the version exists, or is being deployed by somebody else.
            Incompatible, InvalidInput: it cannot be registered as it is.
            DeployError: no replica got ready; the message has the reason and its last lines.
        """
        if model.deployment is None:
            raise InvalidInput(f"{model.id} has no deployment.")
        if model.id in self.in_progress:
            raise AlreadyExists(f"{model.id} is being deployed already.", hint="Wait for it.")
        self._catalogue.check_new(self._catalogue.config, model)
        started = asyncio.get_running_loop().time()

        async def register() -> None:
            self.in_progress[model.id] = Progress("registering", started)
            await self._catalogue.add_model(model, keeps_current=keeps_current)

        self.in_progress[model.id] = Progress("starting", started)
        try:
            await self._fleet.try_out(model, timeout_s, register)
        except ClipperError as error:
            extra = {"action": "deploy_failed", "model": str(model.id)}
            log.warning("%s was not deployed: %s", model.id, error.message, extra=extra)
            raise
        finally:
            del self.in_progress[model.id]
            if model.id not in self._catalogue.config.models:
                self._layer.remove(model.id)
            # Another daemon may have registered the version meanwhile; then its replicas are due.
            self._fleet.reconcile(self._catalogue.config)

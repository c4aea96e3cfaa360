"""Deploying a version: tried out first, registered only when a replica of it is ready.

So the version that is current serves until the new one can, and a failed deploy changes nothing.
"""

import asyncio
import logging
from dataclasses import dataclass, replace

from clipper.abstraction.layer import ModelAbstractionLayer
from clipper.core.errors import AlreadyExists, ClipperError, InvalidInput
from clipper.core.types import Deployment, InputType, Model, ModelId
from clipper.deploy.completion import completed
from clipper.deploy.log_folder import LogFolder
from clipper.serving.catalogue import Catalogue
from clipper.serving.fleet import Fleet

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unsaid:
    """What a request leaves to the model, or to the looks of it."""

    input_type: bool = False
    """The model says what it takes; where it does not, it takes what the version before it does, or
    else what its record says."""
    requirements: bool = False
    """Its folder, or that of its class, says which packages it needs."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a deploy is."""

    phase: str
    """`starting`: its first replica loads; `registering`: it becomes current."""
    started: float
    """Loop time."""
    deployment: Deployment

    @property
    def elapsed_s(self) -> float:
        """Since the deploy began."""
        return asyncio.get_running_loop().time() - self.started


class Deployer:
    """Deploys versions, each once at a time."""

    def __init__(
        self,
        catalogue: Catalogue,
        fleet: Fleet,
        layer: ModelAbstractionLayer,
        logs: LogFolder | None = None,
    ) -> None:
        self.in_progress: dict[ModelId, Progress] = {}
        self._catalogue = catalogue
        self._fleet = fleet
        self._layer = layer
        self._logs = logs

    async def deploy(
        self,
        model: Model,
        timeout_s: float | None,
        *,
        keeps_current: bool = False,
        unsaid: Unsaid = Unsaid(),
    ) -> None:
        """Return when a replica is ready and the version is registered.

        It is current then, unless the one before shall stay so.

        Raises:
            AlreadyExists: the version exists, or is being deployed by somebody else.
            Incompatible, InvalidInput: it cannot be registered as it is.
            DeployError: no replica got ready; the message has the reason and its last lines.
        """
        deployment = model.deployment
        if deployment is None:
            raise InvalidInput(f"{model.id} has no deployment.")
        if model.id in self.in_progress:
            raise AlreadyExists(f"{model.id} is being deployed already.", hint="Wait for it.")
        if unsaid.input_type:
            model = self._as_before(model)
        is_typed = not unsaid.input_type
        self._catalogue.check_new(self._catalogue.config, model, is_typed=is_typed)
        started = asyncio.get_running_loop().time()
        self.in_progress[model.id] = Progress("starting", started, deployment)
        try:
            if self._logs is not None:
                await self._logs.begin(model.id)
            model = await self._completed(model, deployment, unsaid)
            await self._try_out(model, timeout_s, unsaid, keeps_current)
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

    def _as_before(self, model: Model) -> Model:
        """Of the input type that is registered, or that the current version has."""
        config = self._catalogue.config
        current = ModelId(model.id.name, config.current.get(model.id.name, ""))
        known = config.models.get(model.id) or config.models.get(current)
        return model if known is None else replace(model, input_type=known.input_type)

    async def _completed(self, model: Model, deployment: Deployment, unsaid: Unsaid) -> Model:
        if deployment.framework and not unsaid.requirements:
            return model
        found = await asyncio.to_thread(completed, deployment, unsaid.requirements)
        trial = self.in_progress[model.id]
        self.in_progress[model.id] = replace(trial, deployment=found)
        return replace(model, deployment=found)

    async def _try_out(
        self, model: Model, timeout_s: float | None, unsaid: Unsaid, keeps_current: bool
    ) -> None:
        async def register(input_type: InputType) -> None:
            trial = self.in_progress[model.id]
            self.in_progress[model.id] = replace(trial, phase="registering")
            found = replace(model, input_type=input_type)
            await self._catalogue.add_model(found, keeps_current=keeps_current)

        is_asked = unsaid.input_type
        # Which inputs are near is known once it is known what they are.
        tried = replace(model, approximate_cache=None) if is_asked else model
        await self._fleet.try_out(tried, timeout_s, register, is_asked=is_asked)

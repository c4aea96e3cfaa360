"""The fleet: for every deployed model version, as many live replicas as it should have."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from clipper.abstraction.layer import ModelAbstractionLayer
from clipper.core.config import Config
from clipper.core.errors import ClipperError, DeployError, InvalidInput, UnknownModel
from clipper.core.tasks import Tasks, supervise
from clipper.core.types import Deployment, InputType, Model, ModelId, ReplicaId
from clipper.deploy.manager import Container, ContainerManager, ContainerSpec
from clipper.serving.attachment import Attach, Connector, Here
from clipper.serving.replicas import Keeper, ReplicaStatus

LOADING_S = 120.0
"""How long a deploy waits for a model to load, where nothing else is said."""

log = logging.getLogger(__name__)


class Fleet:
    """All replicas; `reconcile` is told what there should be."""

    def __init__(
        self,
        managers: Mapping[str, ContainerManager],
        connector: Connector,
        layer: ModelAbstractionLayer,
        attach: Attach = Here,
    ) -> None:
        self._managers = managers
        self._connector = connector
        self._attach = attach
        self._layer = layer
        self._keepers: dict[ReplicaId, Keeper] = {}
        self._trials: set[ModelId] = set()
        self._lives: dict[Keeper, asyncio.Task[None]] = {}
        self._tasks = Tasks()
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._is_ending = False

    @property
    def opened(self) -> Sequence[ContainerManager]:
        """The managers that have started something, or may have."""
        opening = self._opening.items()
        return [self._managers[name] for name, task in opening if task.done() and _is_open(task)]

    def reconcile(self, config: Config) -> None:
        """Start and stop replicas until there are those that the configuration wants."""
        wanted = {
            ReplicaId(model.id, index): (model, model.deployment)
            for model in config.models.values()
            if model.deployment is not None and self._can_run(model.id, model.deployment)
            for index in range(model.deployment.replicas)
        }
        for replica in list(self._keepers):
            if replica not in wanted and replica.model not in self._trials:
                self._keepers.pop(replica).stop()
        for replica, (model, deployment) in wanted.items():
            if replica not in self._keepers:
                self._keep(replica, model, deployment)

    def _can_run(self, model: ModelId, deployment: Deployment) -> bool:
        """A store may hold what only another daemon can run; everything else is served."""
        if deployment.manager not in self._managers:
            manager = deployment.manager
            log.warning("%s cannot be run here: there is no manager '%s'", model, manager)
        return deployment.manager in self._managers

    def _deployment(self, model: Model) -> Deployment:
        deployment = model.deployment
        if deployment is None or deployment.manager not in self._managers:
            name = "none" if deployment is None else deployment.manager
            raise InvalidInput(
                f"{model.id} asks for the container manager '{name}'.",
                hint=f"Choose one of: {', '.join(self._managers)}.",
            )
        return deployment

    def _keep(
        self, replica: ReplicaId, model: Model, deployment: Deployment, *, is_asked: bool = False
    ) -> Keeper:
        """Where the model is asked what it takes, its record says what it is taken to say."""
        spec = ContainerSpec(replica, None if is_asked else model.input_type, deployment)
        served = self._layer.add(model)
        keeper = Keeper(spec, served, self._start, self._connector, self._attach)
        self._keepers[replica] = keeper
        name = f"keep {replica}"
        life = self._tasks.spawn(name, supervise(name, keeper.run))
        self._lives[keeper] = life
        life.add_done_callback(lambda _: self._lives.pop(keeper, None))
        return keeper

    async def _start(self, spec: ContainerSpec) -> Container:
        name = spec.deployment.manager
        opening = self._opening.get(name)
        if opening is None or (opening.done() and not _is_open(opening)):
            call = self._managers[name].open()
            opening = self._tasks.spawn(f"open manager {name}", call, is_awaited=True)
            self._opening[name] = opening
        await asyncio.shield(opening)  # others need it, when this one is told to stop meanwhile
        return await self._managers[name].start(spec)

    async def try_out(
        self,
        model: Model,
        timeout_s: float | None,
        commit: Callable[[InputType], Awaitable[None]],
        *,
        is_asked: bool = False,
    ) -> None:
        """Start a version's first replica, and keep it if it gets ready and the commit succeeds.

        The commit is told what the model takes: what its record says, unless it `is_asked` and
        says something else. The timeout is for all of it; by default, only for what comes after
        packages were installed.

        Raises:
            DeployError: it did not get ready; nothing of it is left.
            InvalidInput: there is no such container manager.
        """
        replica, deployment = ReplicaId(model.id, 0), self._deployment(model)
        if self._is_ending:
            raise _ending(replica)
        self._trials.add(model.id)
        keeper = self._keep(replica, model, deployment, is_asked=is_asked)
        try:
            await self._first_ready(keeper, timeout_s)
            await commit(keeper.served.model.input_type)
        except BaseException as error:
            self._keepers.pop(replica, None)
            keeper.stop()
            if keeper in self._lives:
                await asyncio.wait((self._lives[keeper],))
            if self._is_ending and isinstance(error, DeployError):
                raise _ending(replica) from error
            raise
        finally:
            self._trials.discard(model.id)

    def abandon_trials(self) -> None:
        """Stop every replica that is being tried out, and try no more; who waits is told so."""
        self._is_ending = True
        for replica, keeper in self._keepers.items():
            if replica.model in self._trials:
                keeper.stop()

    async def _first_ready(self, keeper: Keeper, timeout_s: float | None) -> None:
        if timeout_s is None:  # installing packages takes what it takes, and has a limit of its own
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait((keeper.first_launch, keeper.first_ready), return_when=first)
            timeout_s = LOADING_S
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(keeper.first_ready)
        except TimeoutError:
            lines = "".join(f"\n  {line}" for line in await self.logs(keeper.replica, 20))
            raise DeployError(
                f"{keeper.replica} was not ready within {timeout_s:g} s"
                + (f"; its last lines:{lines}" if lines else "."),
                hint="Give it more time with --timeout, or look at what it waits for.",
            ) from None

    def status(self, model: ModelId) -> list[ReplicaStatus]:
        """The replicas of a version, by index."""
        keepers = [keeper for id, keeper in self._keepers.items() if id.model == model]
        return sorted((keeper.status() for keeper in keepers), key=lambda one: one.replica.index)

    def counts(self) -> dict[str, int]:
        """How many replicas are in each state."""
        states = [keeper.state for keeper in self._keepers.values()]
        return {state: states.count(state) for state in ("ready", "starting", "backing_off")}

    async def logs(self, replica: ReplicaId, tail: int) -> Sequence[str]:
        """The last lines that a replica wrote.

        Raises:
            UnknownModel: there is no such replica.
        """
        keeper = self._keepers.get(replica)
        if keeper is None:
            raise UnknownModel(f"There is no replica {replica}.")
        return await self._managers[keeper.manager].logs(replica, tail)

    async def last_line(self, model: ModelId) -> str:
        """What the first replica of a version wrote last; empty where that cannot be known."""
        try:
            lines = await self.logs(ReplicaId(model, 0), 1)
        except ClipperError:
            return ""
        return lines[0] if lines else ""

    async def close(self) -> None:
        """Stop every replica, the batches in hand answered, then the managers."""
        while self._lives:  # a change that is still being made may start others
            for keeper in self._lives:
                keeper.stop()
            await asyncio.wait(list(self._lives.values()))
        for name, opening in self._opening.items():
            await asyncio.wait((opening,))
            if _is_open(opening):
                await self._managers[name].close()


def _is_open(opening: "asyncio.Task[None]") -> bool:
    return opening.done() and not opening.cancelled() and opening.exception() is None


def _ending(replica: ReplicaId) -> DeployError:
    return DeployError(
        f"{replica.model} was not deployed: the daemon is being stopped.",
        hint="Deploy it again when the daemon is back.",
    )

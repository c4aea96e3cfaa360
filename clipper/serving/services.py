"""The serving layer as one thing: wired together, started, kept in step with the store, stopped."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from clipper.core.config import Config
from clipper.core.errors import StateError, UnknownModel
from clipper.core.tasks import Tasks, supervise
from clipper.core.types import NAME, Deployment, ModelId, ReplicaId
from clipper.deploy.log_folder import LogFolder
from clipper.deploy.manager import ContainerManager
from clipper.deploy.packages import Packages
from clipper.serving.attachment import Connector
from clipper.serving.catalogue import Catalogue
from clipper.serving.deployment import Deployer
from clipper.serving.engine import Bounds, Engine, Files
from clipper.serving.errands import unknown_query
from clipper.serving.figures import Figures
from clipper.serving.fleet import Fleet
from clipper.serving.ids import QueryIds
from clipper.serving.opening import open_when_there
from clipper.serving.tidying import Forget, Tidier
from clipper.serving.workforce import Alone, Workforce
from clipper.state.registry import Registry
from clipper.state.store import Store

log = logging.getLogger(__name__)

SYNC_S = 0.5
"""How often the store is asked whether another daemon changed the configuration."""
PROBE_S = 5.0
"""How often it is written to, so that a full disk is noticed; while it is away, each time."""
FIRST_LOOK_S = 1.0
"""How long a start may wait for the store, so that who finds us live finds us with what we know."""


@dataclass(slots=True)
class Status:
    """How the daemon is."""

    store_url: str
    started: float
    store_state: str = "unavailable"
    """`ok`; `degraded`: lost, what is known is served on; `unavailable`: never reached."""
    trouble: str = ""
    """Why it is not ok."""

    @property
    def uptime_s(self) -> float:
        """Since the start."""
        return asyncio.get_running_loop().time() - self.started


class Services:
    """Everything that the frontends need; made inside a running loop."""

    def __init__(
        self,
        store: Store,
        managers: Mapping[str, ContainerManager],
        connector: Connector,
        bounds: Bounds,
        workforce: Workforce | None = None,
        files: Files | None = None,
    ) -> None:
        self.status = Status(store.url, asyncio.get_running_loop().time())
        self._store = store
        self.workforce = workforce or Alone()
        self.engine = engine = Engine(store, QueryIds(store.reserve), bounds, files=files)
        self.metrics = engine.metrics
        self.predictor = engine.predictor
        self.feedback = engine.feedback
        self.feedback.elsewhere = self.judged_elsewhere
        self.fleet = Fleet(managers, connector, engine.layer, self.workforce.attach)
        self.catalogue = Catalogue(Registry(store), engine.states, self._adopt)
        self.packages = Packages(files.packages) if files and files.packages else None
        self._logs = LogFolder(files.logs) if files and files.logs else None
        self.deployer = Deployer(self.catalogue, self.fleet, engine.layer, self._logs)
        self._tidier = Tidier(self._forgets)
        self._tasks = Tasks()
        self._probed = 0.0
        self._looked = asyncio.Event()
        """Set once the store was read, or could not be."""

    def start(self) -> None:
        """Open the store in the background, load what it holds, and keep in step with it."""
        self._tasks.spawn("store", supervise("store", self._open))
        self._tasks.spawn("tidy up", supervise("tidy up", self._tidier.run))

    async def first_look(self) -> None:
        """Return when what the store holds is served, or cannot be for now."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                await self._looked.wait()

    async def _open(self) -> None:
        await open_when_there(self._store, self._unavailable)
        self._tasks.spawn("follow", supervise("follow", self.engine.follow))
        self._tasks.spawn("journal", supervise("journal", self.engine.keep_journal))
        await supervise("store", self._keep_in_step)

    async def _keep_in_step(self) -> NoReturn:
        now = asyncio.get_running_loop().time
        while True:
            looked = now()
            try:
                await self.engine.ids.renew()
                await self.catalogue.load()
                await self._probe()
                await self.engine.save_profiles()
                await self.feedback.watch()
                self._set_store_state("ok")
            except StateError as error:
                known = self.catalogue.is_loaded
                self._set_store_state("degraded" if known else "unavailable", error.message)
            await asyncio.sleep(SYNC_S)
            self.metrics.update_rates(now() - looked)

    def _unavailable(self, error: StateError) -> None:
        self._set_store_state("unavailable", error.message)

    async def _probe(self) -> None:
        """See whether the store, which can be read, can be written."""
        now = asyncio.get_running_loop().time()
        if self.status.store_state != "ok" or now - self._probed > PROBE_S:
            await self._store.reserve("probe", 1)  # SQLite writes nothing for nothing new
            self._probed = now

    def _set_store_state(self, state: str, trouble: str = "") -> None:
        if state != self.status.store_state or trouble != self.status.trouble:
            extra = {"action": f"store_{state}"}
            if state == "ok":
                log.info("The store %s is in use", self.status.store_url, extra=extra)
            else:
                log.warning("The store is %s: %s", state, trouble, extra=extra)
        self.status.store_state = state
        self.status.trouble = trouble
        self.metrics.degraded = state != "ok"
        self._looked.set()

    async def _adopt(self, config: Config) -> None:
        """Serve what the configuration says, from the next query on."""
        gone = self.engine.adopt(config, self.deployer.in_progress)
        self.fleet.reconcile(config)
        if gone.models:
            self._tidier.deleted()
        await self.workforce.adopt(config, gone)

    def _forgets(self) -> Sequence[Forget]:
        """What no version needs, nor one that is being deployed, can go.

        What is needed is asked when somebody is to forget, for who comes before may take long.
        """
        if not self.catalogue.is_loaded:
            return []
        forgets: list[Forget] = [partial(self._forget, one) for one in self.fleet.opened]
        if self.packages is not None:
            forgets.append(partial(self.packages.forget, self._needed))
        if self._logs is not None:
            forgets.append(self._forget_logs)
        return forgets

    def _needed(self) -> list[Deployment]:
        in_progress = [one.deployment for one in self.deployer.in_progress.values()]
        return in_progress + self.catalogue.config.deployments()

    async def _forget(self, manager: ContainerManager) -> None:
        # Of one that nobody has looked at yet, nothing is there that a manager has made.
        await manager.forget([one for one in self._needed() if one.framework])

    async def _forget_logs(self) -> None:
        assert self._logs is not None
        known = {*self.deployer.in_progress, *self.catalogue.config.models}
        await self._logs.forget(known)

    async def judged_elsewhere(
        self, app: str, query_id: int, label: Any, context: str | None
    ) -> bool:
        """Feedback about a query that another daemon on the store has answered.

        Raises:
            ClipperError: as `Errands.send`.
        """
        route, ids = self.predictor.snapshot.get(app), self.engine.ids
        is_nobodys = ids.were_ours(query_id) or query_id >= await self._store.reserve("query_id", 0)
        # Where nothing is ever learned, nobody looks.
        if is_nobodys or route is None or route.policy.state_type is None:
            raise unknown_query(app, query_id)
        return await self.engine.errands.send(app, query_id, label, context)

    async def logs(self, replica: ReplicaId, tail: int) -> Sequence[str]:
        """The last lines that a replica wrote, also where its version never came up.

        Raises:
            UnknownModel: there is neither such a replica nor anything that it wrote.
        """
        try:
            self.catalogue.model(replica.model)
            return await self.fleet.logs(replica, tail)
        except UnknownModel:
            # The names come from a request, and are about to be folders.
            if self._logs is None or not all(map(NAME.match, replica.model)):
                raise
            lines = await self._logs.tail(replica, tail)
            if not lines:
                raise
            return lines

    async def figures(self) -> Figures:
        """All that is counted, by whichever process."""
        own = Figures(self.metrics, self.engine.approximations(), self.status.uptime_s)
        return await self.workforce.total(own)

    def troubles(self) -> list[str]:
        """Applications whose policies do not do what they are for, and why."""
        routes = self.predictor.snapshot.values()
        return [f"{route.app.name}: {route.trouble}" for route in routes if route.trouble]

    async def readiness(self) -> list[str]:
        """Why queries would not be answered by models; empty when they would."""
        return self.ready()

    def ready(self) -> list[str]:
        """Why queries would not be answered by models; empty when they would."""
        if not self.predictor.is_loaded:
            return [f"The store {self.status.store_url} is not open: {self.status.trouble}"]
        config = self.catalogue.config
        links = [(app.name, name) for app in config.applications.values() for name in app.models]
        reasons = [reason for link in links if (reason := self._trouble(config, *link))]
        return [*self.workforce.trouble(), *reasons]

    def _trouble(self, config: Config, app: str, name: str) -> str:
        """Why a linked model cannot answer; empty where it can."""
        version = config.current.get(name)
        if version is None:
            return f"Application '{app}' links the model '{name}', which has no version."
        model = ModelId(name, version)
        if not self.engine.layer.models[model].live:
            deployment = config.models[model].deployment
            why = ", which is scaled to 0" if deployment and not deployment.replicas else ""
            return f"Application '{app}' has no live replica of {model}{why}."
        return ""

    async def drain(self) -> None:
        """Return when every query that was admitted is answered; deployments are given up."""
        self.fleet.abandon_trials()
        await self.engine.drain()

    async def close(self) -> None:
        """Stop the replicas and let go of the store."""
        await self._tasks.cancel()
        await self.fleet.close()
        await self.workforce.close()
        await self.engine.close()
        await self._store.close()

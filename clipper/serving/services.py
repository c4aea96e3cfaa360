"""The serving layer as one thing: wired together, started, kept in step with the store, stopped."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import NoReturn

from clipper.abstraction.approximation import Approximation
from clipper.abstraction.cache import PredictionCache
from clipper.abstraction.layer import Limits, ModelAbstractionLayer
from clipper.core.config import Config
from clipper.core.errors import NewerSchema, StateError
from clipper.core.metrics import Metrics
from clipper.core.tasks import Tasks, supervise
from clipper.core.types import ModelId
from clipper.deploy.manager import ContainerManager
from clipper.serving.catalogue import Catalogue
from clipper.serving.deployment import Deployer
from clipper.serving.feedback import Feedback
from clipper.serving.fleet import Fleet
from clipper.serving.ids import QueryIds
from clipper.serving.journal import Journal
from clipper.serving.predictor import Predictor
from clipper.serving.profiles import Profiles
from clipper.serving.replicas import Connector
from clipper.serving.snapshot import build_snapshot, strictest_slos
from clipper.serving.states import SelectionStates
from clipper.state.registry import Registry
from clipper.state.store import Store

log = logging.getLogger(__name__)

SYNC_S = 0.5
"""How often the store is asked whether another daemon changed the configuration."""
PROBE_S = 5.0
"""How often it is written to, so that a full disk is noticed; while it is away, each time."""
PROFILES_S = 30.0
"""How often what was learned of models' latency is stored."""
FIRST_LOOK_S = 1.0
"""How long a start may wait for the store, so that who finds us live finds us with what we know."""
OPEN_RETRY_S = 0.2
OPEN_RETRY_MAX_S = 5.0


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


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much the serving layer may hold."""

    limits: Limits = field(default_factory=Limits)
    cache_bytes: int = 32 * 1024 * 1024
    journal_size: int = 65_536


class Services:
    """Everything that the frontends need; made inside a running loop."""

    def __init__(
        self,
        store: Store,
        managers: Mapping[str, ContainerManager],
        connector: Connector,
        bounds: Bounds,
    ) -> None:
        self.metrics = Metrics()
        self.status = Status(store.url, asyncio.get_running_loop().time())
        self._store = store
        self._ids = QueryIds(store.reserve)
        states = SelectionStates(store)
        self._journal = journal = Journal(bounds.journal_size)
        cache = PredictionCache(bounds.cache_bytes, self.metrics.cache)
        self._layer = ModelAbstractionLayer(cache, bounds.limits, self.metrics)
        self.predictor = Predictor(self._ids, states, journal, Random())
        self.feedback = Feedback(self.predictor, states, journal)
        self.fleet = Fleet(managers, connector, self._layer)
        self.catalogue = Catalogue(Registry(store), states, self._adopt)
        self.deployer = Deployer(self.catalogue, self.fleet, self._layer)
        self._tasks = Tasks()
        self._profiles = Profiles(store)
        self._probed = self._profiled = 0.0
        self._looked = asyncio.Event()
        """Set once the store was read, or could not be."""

    def start(self) -> None:
        """Open the store in the background, load what it holds, and keep in step with it."""
        self._tasks.spawn("store", supervise("store", self._keep_in_step))

    async def first_look(self) -> None:
        """Return when what the store holds is served, or cannot be for now."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                await self._looked.wait()

    async def _keep_in_step(self) -> NoReturn:
        await self._open()
        now = asyncio.get_running_loop().time
        while True:
            looked = now()
            try:
                await self._ids.renew()
                await self.catalogue.load()
                await self._probe()
                await self._save_profiles()
                self._set_store_state("ok")
            except StateError as error:
                known = self.catalogue.is_loaded
                self._set_store_state("degraded" if known else "unavailable", error.message)
            await asyncio.sleep(SYNC_S)
            self.metrics.update_rates(now() - looked)

    async def _open(self) -> None:
        delay_s = OPEN_RETRY_S
        while True:
            try:
                await self._store.open()
                return
            except NewerSchema as error:
                # Waiting will not mend it, but a live daemon can say what is wrong.
                self._set_store_state("unavailable", error.message)
                delay_s = OPEN_RETRY_MAX_S
            except StateError as error:
                self._set_store_state("unavailable", error.message)
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, OPEN_RETRY_MAX_S)

    async def _probe(self) -> None:
        """See whether the store, which can be read, can be written."""
        now = asyncio.get_running_loop().time()
        if self.status.store_state != "ok" or now - self._probed > PROBE_S:
            await self._store.reserve("probe", 1)  # SQLite writes nothing for nothing new
            self._probed = now

    async def _save_profiles(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._profiled > PROFILES_S:
            self._profiled = now
            await self._profiles.save(list(self._layer.models.values()))

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

    def _adopt(self, config: Config) -> None:
        """Serve what the configuration says, from the next query on."""
        slos = strictest_slos(config)
        for model in config.models.values():
            is_new = model.id not in self._layer.models
            served = self._layer.add(model)
            served.set_slo(slos.get(model.id))
            if is_new:
                self._tasks.spawn(f"recall {model.id}", self._profiles.recall(served))
        metrics, predictor = self.metrics, self.predictor
        predictor.snapshot = build_snapshot(config, self._layer, metrics, predictor.expire)
        predictor.is_loaded = True
        self.fleet.reconcile(config)
        for id in [id for id in self._layer.models if id not in config.models]:
            if id not in self.deployer.in_progress:
                self._layer.remove(id)
                self._tasks.spawn(f"forget {id}", self._profiles.forget(id))
        for app in [app for app in metrics.applications if app not in config.applications]:
            metrics.forget_application(app)
            self._journal.forget(app)

    def approximation(self, model: ModelId) -> Approximation | None:
        """The approximate cache of a version, where it has one."""
        served = self._layer.models.get(model)
        return None if served is None else served.approximation

    def ready(self) -> list[str]:
        """Why queries would not be answered by models; empty when they would."""
        if not self.predictor.is_loaded:
            return [f"The store {self.status.store_url} is not open: {self.status.trouble}"]
        config = self.catalogue.config
        links = [(app.name, name) for app in config.applications.values() for name in app.models]
        return [reason for link in links if (reason := self._trouble(config, *link))]

    def _trouble(self, config: Config, app: str, name: str) -> str:
        """Why a linked model cannot answer; empty where it can."""
        version = config.current.get(name)
        if version is None:
            return f"Application '{app}' links the model '{name}', which has no version."
        if not self._layer.models[ModelId(name, version)].live:
            return f"Application '{app}' has no live replica of {ModelId(name, version)}."
        return ""

    async def drain(self) -> None:
        """Return when every query that was admitted is answered; deployments are given up."""
        self.fleet.abandon_trials()
        await self.predictor.drain()

    async def close(self) -> None:
        """Stop the replicas and let go of the store."""
        await self._tasks.cancel()
        await self.predictor.close()
        await self.fleet.close()
        await self._profiles.save(list(self._layer.models.values()))
        await self._store.close()

"""What answers queries and learns from feedback, in each process that does.

It knows nothing of who administers: it is given a configuration and serves that, from the next
query on, with whatever replicas take batches.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple, NoReturn, Self

from clipper.abstraction.cache import PredictionCache
from clipper.abstraction.layer import Limits, ModelAbstractionLayer
from clipper.core.config import Config
from clipper.core.errors import StateError
from clipper.core.metrics import Metrics
from clipper.core.settings import Settings
from clipper.core.tasks import Tasks
from clipper.core.types import ModelId
from clipper.serving.decisions import DecisionLog
from clipper.serving.errands import Errands
from clipper.serving.feedback import Feedback, Taught, nobody_else
from clipper.serving.figures import ApproximationFigures
from clipper.serving.ids import QueryIds
from clipper.serving.journal import JOURNAL_BYTES, Journal
from clipper.serving.predictor import Predictor
from clipper.serving.profiles import Profiles
from clipper.serving.snapshot import build_snapshot, strictest_slos
from clipper.serving.states import SelectionStates
from clipper.state.entries import EntryFile
from clipper.state.store import Store

FOLLOW_S = 0.04
"""How often the store is asked what others have taught."""
JOURNAL_S = 0.2
"""How often the journal is written; so much of it is lost with a process that is killed."""
PROFILES_S = 30.0
"""How often what was learned of models' latency is stored."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a process that serves may hold."""

    limits: Limits = field(default_factory=Limits)
    cache_bytes: int = 32 * 1024 * 1024
    journal_size: int = 65_536
    journal_bytes: int = JOURNAL_BYTES

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Each worker's share of what the daemon may hold."""
        workers = settings.workers
        limits = Limits(
            max(1, settings.queue_limit // workers),
            max(1, settings.queue_bytes // workers),
            settings.batch_timeout_s,
        )
        return cls(
            limits,
            settings.cache_bytes // workers,
            max(1, settings.journal_size // workers),
            JOURNAL_BYTES // workers,
        )


class Files(NamedTuple):
    """Where a process keeps what is not the store's."""

    journal: Path | None = None
    """Its own: of recent queries, for feedback after a restart."""
    inherited: Sequence[Path] = ()
    """Those of processes that there are no more of, to be taken over."""
    decisions: Path | None = None
    """The log of what policies have learned, which all processes append to."""
    packages: Path | None = None
    """The main process's: models that clients have sent."""
    logs: Path | None = None
    """The main process's: what replicas have printed."""

    @classmethod
    def of(cls, settings: Settings, journal: str) -> Self:
        """In the data directory, and where the settings say.

        Where the store ends with the process, so do the ids of queries, and with them the journal.
        """
        decisions = Path(settings.decision_log) if settings.decision_log else None
        folder = Path(settings.data_dir)
        # Another store has other versions, which do not need what this one's do.
        store = hashlib.sha256(settings.store.encode()).hexdigest()[:12]
        folders = folder / "packages" / store, folder / "logs"
        if settings.store.startswith("memory:"):
            return cls(None, (), decisions, *folders)
        workers = settings.workers
        names = [f"journal-{number}" for number in range(workers)] if workers > 1 else ["journal"]
        others = [path for path in sorted(folder.glob("journal*")) if path.suffix != ".old"]
        inherited = [path for path in others if path.name not in names]
        inherited = inherited if journal == names[0] else []
        return cls(folder / journal, inherited, decisions, *folders)


class Gone(NamedTuple):
    """What a configuration no longer has."""

    applications: Collection[str] = ()
    models: Collection[ModelId] = ()


class Engine:
    """Answers from the configuration it was given last; made inside a running loop."""

    def __init__(
        self,
        store: Store,
        ids: QueryIds,
        bounds: Bounds,
        taught: Taught = nobody_else,
        files: Files | None = None,
    ) -> None:
        self.config = Config()
        self.metrics = Metrics()
        self.ids = ids
        self.states = SelectionStates(store)
        cache = PredictionCache(bounds.cache_bytes, self.metrics.cache)
        self.layer = ModelAbstractionLayer(cache, bounds.limits, self.metrics)
        files = files or Files()
        file = None
        if files.journal is not None:  # of each query one entry that it was answered, one judged
            file = EntryFile(files.journal, 2 * bounds.journal_size)
        inherited = [EntryFile(path, 2 * bounds.journal_size) for path in files.inherited]
        self._decisions = None if files.decisions is None else DecisionLog(files.decisions)
        self._journal = journal = Journal(bounds.journal_size, bounds.journal_bytes, file)
        journal.recall(inherited)
        self.predictor = Predictor(ids, self.states, journal, Random())
        self.feedback = Feedback(self.predictor, self.states, journal, taught, self._decisions)
        teach = self.feedback.by_query_here
        self.errands = Errands(store, self.feedback.remembers, teach, Random())
        self._profiles = Profiles(store)
        self._profiled = 0.0
        self._tasks = Tasks()

    def adopt(self, config: Config, spared: Collection[ModelId]) -> Gone:
        """Serve what the configuration says; of other versions keep those that are spared."""
        gone = self._gone(config, spared)
        self.config, slos = config, strictest_slos(config)
        layer, metrics, predictor = self.layer, self.metrics, self.predictor
        self.forget(gone)
        for model in config.models.values():
            is_new = model.id not in layer.models
            served = layer.add(model)
            served.set_slo(slos.get(model.id))
            if is_new:
                self._tasks.spawn(f"recall {model.id}", self._profiles.recall(served))
        predictor.snapshot = build_snapshot(config, layer, metrics, predictor.expire)
        predictor.is_loaded = True
        return gone

    def _gone(self, config: Config, spared: Collection[ModelId]) -> Gone:
        """What this configuration has no more, or anew under the same name."""
        before, after = self.config.applications, config.applications
        return Gone(
            [
                name
                for name in self.metrics.applications
                if name not in after
                or (name in before and before[name].registered != after[name].registered)
            ],
            [id for id in self.layer.models if id not in config.models and id not in spared],
        )

    def forget(self, gone: Gone) -> None:
        """Keep nothing of what is gone: another of the same name must not have it."""
        for model in gone.models:
            self.layer.remove(model)
            self._tasks.spawn(f"forget {model}", self._profiles.forget(model))
        for app in gone.applications:
            self.metrics.forget_application(app)
            self._journal.forget(app)
            self.states.drop_all(app)

    async def save_profiles(self) -> None:
        """Store what was learned of the models' latency, now and then."""
        now = asyncio.get_running_loop().time()
        if now - self._profiled > PROFILES_S:
            self._profiled = now
            await self._profiles.save(list(self.layer.models.values()))

    async def follow(self) -> NoReturn:
        """Forget, for ever and ever, what other daemons on the store have taught meanwhile."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            routes = self.predictor.snapshot.values()
            if any(route.policy.state_type is not None for route in routes):
                with contextlib.suppress(StateError):
                    self.errands.notice(await self.states.refresh())

    async def keep_journal(self) -> NoReturn:
        """Write, for ever and ever, what feedback may name after a restart."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(JOURNAL_S):
                    await self._journal.pressed.wait()
            if entries := self._journal.take():
                await asyncio.to_thread(self._journal.save, entries)
            if self._decisions is not None and (lines := self._decisions.take()):
                await asyncio.to_thread(self._decisions.save, lines)

    def approximations(self) -> dict[ModelId, ApproximationFigures]:
        """Of the versions that have an approximate cache."""
        return {
            id: ApproximationFigures.of(served.approximation)
            for id, served in self.layer.models.items()
            if served.approximation is not None
        }

    async def drain(self) -> None:
        """Return when every query that was admitted is answered."""
        await self.predictor.drain()

    async def close(self) -> None:
        """End what still runs, and store what was learned."""
        await self._tasks.cancel()
        await self.errands.close()
        await self.predictor.close()
        self._journal.save(self._journal.take())
        if self._decisions is not None:
            self._decisions.save(self._decisions.take())
        await self._profiles.save(list(self.layer.models.values()))

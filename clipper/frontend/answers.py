"""What `/api/v1` gives: our nouns as clients see them."""

from dataclasses import asdict
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from clipper.abstraction.latency import Profile
from clipper.core.types import DEFAULT_BATCH_SIZE, Application, Deployment, Model, ModelId
from clipper.selection.policy import Comparison, Mean
from clipper.serving.deployment import Progress
from clipper.serving.figures import ApproximationFigures
from clipper.serving.replicas import ReplicaStatus
from clipper.serving.standing import Standing


class ApplicationAnswer(BaseModel):
    """An application."""

    name: str
    input_type: str
    default_output: str
    latency_slo_micros: int
    slo_ms: float
    linked_models: list[str]
    selection_policy: dict[str, Any] = Field(examples=[{"name": "single"}])
    loss: str
    labels: dict[str, Any]
    on_overload: str
    confidence_threshold: float

    @classmethod
    def of(cls, app: Application) -> Self:
        """The application as clients see it."""
        return cls(
            name=app.name,
            input_type=app.input_type,
            default_output=app.default_output,
            latency_slo_micros=app.latency_slo_micros,
            slo_ms=app.latency_slo_micros / 1000,
            linked_models=list(app.models),
            selection_policy={"name": app.policy, **app.policy_params},
            loss=app.loss,
            labels=dict(app.labels),
            on_overload=app.on_overload,
            confidence_threshold=app.confidence_threshold,
        )


class DeploymentAnswer(BaseModel):
    """How the replicas of a model version are started."""

    manager: str
    framework: str
    path: str
    model_data: str
    replicas: int
    image: str
    requirements: list[str]
    output: str
    gpus: list[str]
    memory_bytes: int
    cpus: float
    network: str

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        """The deployment as clients see it."""
        lists = {"requirements": list(deployment.requirements), "gpus": list(deployment.gpus)}
        return cls(**asdict(deployment) | lists)


class DescriptionAnswer(BaseModel):
    """What a container says of its model, for people to read."""

    model: str = Field(examples=["scikit-learn 1.9.1, RandomForestClassifier"])
    input_form: str = Field(examples=["float64[30]"])
    output_form: str

    model_config = ConfigDict(from_attributes=True)


class ReplicaCounts(BaseModel):
    """How many replicas a model version should have, and how many can answer."""

    wanted: int
    ready: int


class BatchingAnswer(BaseModel):
    """How batch sizes are found."""

    controller: str = Field(description="aimd, quantile or fixed")
    size: int | None
    wait_ms: float

    @classmethod
    def of(cls, model: Model) -> Self:
        """The model version's batching as clients see and write it."""
        is_fixed = model.batch_size != DEFAULT_BATCH_SIZE
        return cls(
            controller="fixed" if is_fixed else model.controller,
            size=model.batch_size if is_fixed else None,
            wait_ms=model.batch_wait_ms,
        )


class ApproximateCacheAnswer(BaseModel):
    """When the output for one input may be served for another."""

    model_config = ConfigDict(from_attributes=True)

    metric: str
    radius: float
    audit: float
    budget: float
    margin: float | None
    tolerance: float | None


class ApproximateCacheState(BaseModel):
    """What the approximate cache of a model version did, and whether it still may."""

    is_on: bool
    reason: str = Field(description="why it is off")
    entries: int = Field(description="inputs among which near ones are looked for")
    hits: int
    audited: int
    disagreed: int
    upper_bound: float = Field(description="at most this share is wrong, at 95 % confidence")

    @classmethod
    def of(cls, figures: ApproximationFigures, hits: int) -> Self:
        """The state as clients see it."""
        return cls(
            is_on=figures.is_on,
            reason=figures.reason,
            entries=figures.entries,
            hits=hits,
            audited=figures.audited,
            disagreed=figures.disagreed,
            upper_bound=round(figures.upper_bound, 6),
        )


class ModelAnswer(BaseModel):
    """A model version."""

    name: str
    version: str
    input_type: str
    labels: list[str]
    container_name: str
    model_data_path: str
    batch_size: int = Field(description="a fixed one, or -1")
    batching: BatchingAnswer
    hedging: float
    approximate_cache: ApproximateCacheAnswer | None
    is_current: bool
    deployment: DeploymentAnswer | None
    replicas: ReplicaCounts

    @classmethod
    def of(cls, model: Model, *, is_current: bool, ready: int) -> Self:
        """The model version as clients see it."""
        deployment = model.deployment
        wanted = deployment.replicas if deployment else 0
        return cls(
            name=model.id.name,
            version=model.id.version,
            input_type=model.input_type,
            labels=list(model.labels),
            container_name=model.container_name,
            model_data_path=model.model_data_path,
            batch_size=model.batch_size,
            batching=BatchingAnswer.of(model),
            hedging=model.hedging,
            approximate_cache=(
                ApproximateCacheAnswer.model_validate(model.approximate_cache)
                if model.approximate_cache
                else None
            ),
            is_current=is_current,
            deployment=DeploymentAnswer.of(deployment) if deployment else None,
            replicas=ReplicaCounts(wanted=wanted, ready=ready),
        )


class Latency(BaseModel):
    """How long a batch of n queries takes: `fixed_ms + per_query_ms * n`, as measured of late."""

    fixed_ms: float
    per_query_ms: float
    p99_factor: float = Field(description="one batch in a hundred takes more than so many times it")

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """The profile as clients see it."""
        return cls(
            fixed_ms=round(profile.fixed_s * 1e3, 4),
            per_query_ms=round(profile.per_item_s * 1e3, 5),
            p99_factor=round(profile.p99, 2),
        )


class ReplicaState(BaseModel):
    """One replica."""

    index: int
    state: str = Field(description="starting, ready, backing_off or stopping")
    identity: str = Field(examples=["pid 4711"])
    gpus: str = Field(description="its set of GPUs; empty where it asks for none")
    restarts: int
    last_exit: str
    batch_size_limit: int = Field(description="queries in a batch at the most; 0: takes none now")
    limit_reason: str = Field(description="why the limit is what it is")
    latency: Latency | None
    batches: int = Field(description="answered in this life, likewise queries")
    queries: int

    @classmethod
    def of(cls, status: ReplicaStatus) -> Self:
        """The replica as clients see it."""
        figures = status.figures
        latency = figures.latency if figures else None
        return cls(
            index=status.replica.index,
            state=status.state,
            identity=status.identity,
            gpus=status.gpus,
            restarts=status.restarts,
            last_exit=status.last_exit,
            batch_size_limit=figures.limit if figures else 0,
            limit_reason=figures.limit_reason if figures else "",
            latency=Latency.of(latency) if latency else None,
            batches=figures.batches if figures else 0,
            queries=figures.queries if figures else 0,
        )


class ModelDetails(ModelAnswer):
    """A model version with each of its replicas."""

    batches_ended_by: dict[str, int] = Field(
        {},
        description="batches sent, by why they were not larger: the limit was reached, the queue "
        "was empty, the wait for a fuller one was over, ...",
    )
    approximate_cache_state: ApproximateCacheState | None = None
    description: DescriptionAnswer | None = None
    replica_states: list[ReplicaState] = []


class LogAnswer(BaseModel):
    """The last lines that a replica wrote."""

    lines: list[str]


class StandingAnswer(BaseModel):
    """A model in the eyes of a policy."""

    model: str = Field(examples=["digits:2"])
    share: float = Field(description="how probable it is to be asked next, or what it weighs")
    answers: int = Field(description="that it gave or had a share in, whatever the context")
    judged: int = Field(description="how often feedback was about it")
    loss: float | None = Field(description="its mean, from 0 to 1")
    loss_low: float = Field(description="the true mean is from here")
    loss_high: float = Field(description="to here, at 95 %, however often one looks")
    is_worse: bool = Field(description="surely worse than the best of them")

    @classmethod
    def of(cls, standing: Standing, answers: int) -> Self:
        """As clients see it."""
        return cls(
            model=str(standing.model),
            share=standing.share,
            answers=answers,
            judged=standing.judged,
            loss=standing.loss,
            loss_low=standing.interval.low,
            loss_high=standing.interval.high,
            is_worse=standing.is_worse,
        )


class MeanAnswer(BaseModel):
    """A mean over what was seen of a model."""

    model: str = Field(examples=["digits:2"])
    seen: float = Field(description="how often")
    mean: float | None = Field(description="null where nothing was seen")
    low: float = Field(description="the true mean is from here")
    high: float = Field(description="to here, at 95 %, however often one looks")

    @classmethod
    def of(cls, mean: Mean) -> Self:
        """As clients see it."""
        return cls(
            model=str(mean.model),
            seen=mean.number,
            mean=mean.mean if mean.number else None,
            low=mean.interval.low,
            high=mean.interval.high,
        )


class ComparisonAnswer(BaseModel):
    """The candidate of a trial and the model that served before, in one respect."""

    what: str = Field(examples=["loss", "share of failures", "latency (of the SLO)"])
    candidate: MeanAnswer
    incumbent: MeanAnswer
    difference_low: float = Field(description="the candidate's true mean is higher by so much")
    difference_high: float = Field(
        description="to so much; at 95 % for all comparisons of the trial together"
    )
    is_significant: bool = Field(description="surely not 0")
    allowed: float = Field(description="it is promoted only where it is surely no more above")

    @classmethod
    def of(cls, comparison: Comparison) -> Self:
        """As clients see it."""
        low, high = comparison.difference
        return cls(
            what=comparison.what,
            candidate=MeanAnswer.of(comparison.new),
            incumbent=MeanAnswer.of(comparison.old),
            difference_low=low,
            difference_high=high,
            is_significant=low > 0 or high < 0,
            allowed=comparison.allowed,
        )


class SelectionAnswer(BaseModel):
    """What a policy has learned for a context."""

    application: str
    context: str
    policy: str
    models: list[StandingAnswer]
    comparisons: list[ComparisonAnswer] = Field(description="of a trial; none where there is none")
    verdict: str = Field(description="what a trial has come to; empty while it is open")
    reason: str
    state: Any = Field(description="null where nothing was learned")


class DeploymentProgress(BaseModel):
    """A deployment on its way."""

    model: str = Field(examples=["digits:2"])
    phase: str
    elapsed_s: float
    last_line: str = Field(description="what its first replica, or who prepares it, wrote last")

    @classmethod
    def of(cls, model: ModelId, progress: Progress, last_line: str) -> Self:
        """The deployment as clients see it."""
        return cls(
            model=str(model),
            phase=progress.phase,
            elapsed_s=progress.elapsed_s,
            last_line=last_line,
        )


class StoreStatus(BaseModel):
    """The store."""

    url: str
    state: str = Field(description="ok, degraded or unavailable")


class ReplicaTotals(BaseModel):
    """All replicas by state."""

    ready: int
    starting: int
    backing_off: int


class WorkerTotals(BaseModel):
    """The processes that answer queries."""

    wanted: int
    serving: int


class StatusAnswer(BaseModel):
    """How the daemon is."""

    version: str
    uptime_s: float
    store: StoreStatus
    ready: bool
    not_ready: list[str]
    troubles: list[str] = Field(description="applications whose policies do not do their work")
    applications: int
    models: int
    replicas: ReplicaTotals
    workers: WorkerTotals


class Error(BaseModel):
    """What went wrong."""

    code: str = Field(examples=["unknown_model"])
    message: str
    hint: str


class ErrorAnswer(BaseModel):
    """The body of every refusal."""

    error: Error

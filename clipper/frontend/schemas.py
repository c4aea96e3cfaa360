"""What `/api/v1` takes: strict bodies, in which unknown keys are refused and `"5"` is no 5."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from clipper.core.errors import InvalidInput
from clipper.core.requirements import LINES_MAX, check_requirements
from clipper.core.types import (
    DEFAULT_BATCH_SIZE,
    NO_CONTAINER,
    Application,
    Deployment,
    InputType,
    Model,
    ModelId,
)
from clipper.frontend import keys
from clipper.selection.losses import LOSSES
from clipper.serving.checks import MAX_HEDGING, MAX_REPLICAS, MAX_WAIT_MS, check_name
from clipper.serving.deployment import Unsaid

INT32_MAX = 2**31 - 1

Name = Annotated[
    str,
    Field(
        description="1 to 128 letters, digits, '.', '_' and '-', the first a letter or digit",
        examples=["resnet"],
    ),
]
Version = Annotated[str, Field(description="formed like a name", examples=["3"])]
InputTypeName = Annotated[
    str, Field(description=f"one of {', '.join(InputType)}, or an alias", examples=["floats"])
]
Path = Annotated[str, Field(pattern=r"\A[^\x00]*\z")]


class Request(BaseModel):
    """A request's body: immutable, of exactly these keys and types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PolicyRequest(Request):
    """A selection policy with parameters, which are its further keys."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": {"name": "exp3"}})

    name: str


class ApplicationRequest(Request):
    """An application to be created."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "digits",
                "input_type": "floats",
                "default_output": "-1",
                "slo_ms": 20,
                "selection_policy": {"name": "exp3", "eta": 0.1},
            }
        }
    )

    name: Name
    input_type: InputTypeName
    default_output: str = Field("", description="answers when no model made it in time")
    latency_slo_micros: int | None = Field(None, gt=0, le=INT32_MAX)
    slo_ms: float | None = Field(None, ge=0.001, le=INT32_MAX / 1000)
    selection_policy: str | PolicyRequest = Field("single", union_mode="left_to_right")
    loss: str = Field("zero_one", description=f"one of {', '.join(LOSSES)}")
    labels: dict[str, Any] = Field(
        {}, description="what labels of feedback mean to the loss", examples=[{"spam": 1}]
    )
    on_overload: Literal["default", "reject"] = Field(
        "default", description="answer with the default output, or refuse with 429"
    )
    confidence_threshold: float = Field(
        0, ge=0, le=1, description="the default output answers where the models agree less"
    )

    @model_validator(mode="after")
    def _has_one_slo(self) -> Self:
        if (self.latency_slo_micros is None) == (self.slo_ms is None):
            raise ValueError("give either slo_ms or latency_slo_micros")
        return self

    def application(self) -> Application:
        """What is asked for, as our noun.

        Raises:
            InvalidInput: no such input type, policy or loss.
        """
        asked = self.selection_policy
        policy = keys.policy_of(asked if isinstance(asked, str) else asked.model_dump())
        return Application(
            self.name,
            InputType.parse(self.input_type),
            self.default_output,
            self.latency_slo_micros or round((self.slo_ms or 0) * 1000),
            policy=policy.name,
            policy_params=policy.params,
            loss=keys.loss_of(self.loss),
            labels=self.labels,
            on_overload=self.on_overload,
            confidence_threshold=self.confidence_threshold,
        )


class BatchingRequest(Request):
    """How the batch size of a model version is found."""

    controller: str = Field(
        "aimd",
        description="aimd and quantile adapt it to the latency objective; fixed keeps to `size`",
    )
    size: int | None = Field(None, description="of the fixed controller")
    wait_ms: float = Field(
        0, description="how long a query may be kept waiting for a fuller batch", le=MAX_WAIT_MS
    )


class ApproximateCacheRequest(Request):
    """When the output for one input may be served for another."""

    model_config = ConfigDict(json_schema_extra={"example": {"metric": "angular", "radius": 0.1}})

    metric: str = Field(description="angular, in radians, or euclidean")
    radius: float = Field(description="inputs that are no farther apart are alike")
    audit: float = Field(0.02, description="share of such answers that the model checks")
    budget: float = Field(0.01, description="share of them that may be wrong; beyond, it ends")
    margin: float | None = Field(None, description="serve only scores whose best leads by this")
    tolerance: float | None = Field(None, description="how far numbers that agree may differ")


class DeploymentRequest(Request):
    """How the replicas of a model version are started."""

    manager: Literal["process", "docker"] = "process"
    framework: str = Field("", description="found by its looks where empty", examples=["sklearn"])
    path: Path = Field(
        "", description="of the saved model; empty where none is loaded, or an image has it"
    )
    model_data: Path = ""
    replicas: int = Field(1, ge=1, le=MAX_REPLICAS)
    image: str = Field("", description="docker only; empty is the framework's own")
    requirements: list[str] | None = Field(
        None,
        max_length=LINES_MAX,
        description="packages that the model needs, lines of pip's; by default those that "
        "requirements.txt names in the folder that the path is, or that its class lies in",
    )
    output: str = Field("", max_length=256, examples=["predict_proba"])
    gpus: list[str] = Field(
        [], max_length=64, description="sets of GPUs that replicas take in turn, as '0,1' or 'all'"
    )
    memory_bytes: int = Field(0, ge=0, le=1 << 50, description="of one replica; 0: as by default")
    cpus: float = Field(0, ge=0, le=4096, description="docker only: cores of one replica")
    network: str = Field(
        "", description="docker only: a network of Docker's that the model may reach"
    )

    def deployment(self) -> Deployment:
        """What is asked for, as our noun.

        Raises:
            InvalidInput: the framework's name, or a requirement, cannot be one.
        """
        if self.framework:
            check_name("framework", self.framework)
        asked = self.model_dump()
        requirements = check_requirements(self.requirements or ())
        asked |= {"requirements": requirements, "gpus": tuple(self.gpus)}
        return Deployment(**asked)


class PolicyChange(Request):
    """Another selection policy for an application."""

    selection_policy: str | PolicyRequest = Field(union_mode="left_to_right")

    def policy(self) -> keys.Policy:
        """What is asked for.

        Raises:
            InvalidInput: no such policy.
        """
        asked = self.selection_policy
        return keys.policy_of(asked if isinstance(asked, str) else asked.model_dump())


class ModelRequest(Request):
    """A model version to be registered and, with `deployment`, to be brought up."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "digits",
                "version": "1",
                "input_type": "floats",
                "deployment": {"framework": "sklearn", "path": "/srv/models/digits.joblib"},
            }
        }
    )

    name: Name
    version: Version
    input_type: InputTypeName | None = Field(
        None, description="with a deployment, the model itself says by default"
    )
    labels: list[str] = Field([], description="for your own use")
    batch_size: int = Field(DEFAULT_BATCH_SIZE, description="a fixed one, or -1 to let it be found")
    batching: BatchingRequest | None = None
    hedging: float | None = Field(
        None, description=f"share of queries that may be sent to two replicas, to {MAX_HEDGING}"
    )
    approximate_cache: ApproximateCacheRequest | None = None
    deployment: DeploymentRequest | None = None
    container_name: str | None = None
    timeout_s: float | None = Field(
        None,
        gt=0,
        le=3600,
        description="how long it may take to come up; by default 120 s from when what it needs is "
        "installed",
    )
    keep_current: bool = Field(
        False, description="leave the version that is current so: this one is to be tried first"
    )

    def unsaid(self) -> Unsaid:
        """What is left to the model."""
        finds = self.deployment is not None and self.deployment.requirements is None
        return Unsaid(input_type=self.input_type is None, requirements=finds)

    def model(self) -> Model:
        """What is asked for, as our noun.

        Raises:
            InvalidInput: no such input type, or a batch size that cannot be.
        """
        asked = self.batching.model_dump(exclude_none=True) if self.batching else None
        batching = keys.batching_of(self.batch_size, asked)
        near = self.approximate_cache.model_dump() if self.approximate_cache else None
        deployment = self.deployment.deployment() if self.deployment else None
        if self.input_type is None and deployment is None:
            raise InvalidInput(
                "input_type is missing.", hint="Only a model that is deployed can say it itself."
            )
        return Model(
            ModelId(self.name, self.version),
            InputType.parse(self.input_type or InputType.FLOATS),
            tuple(self.labels),
            self.container_name or _container_name(deployment),
            model_data_path=deployment.path if deployment else "",
            batch_size=batching.size,
            controller=batching.controller,
            batch_wait_ms=batching.wait_ms,
            hedging=keys.hedging_of(self.hedging),
            approximate_cache=keys.approximate_cache_of(near),
            deployment=deployment,
        )


def _container_name(deployment: Deployment | None) -> str:
    if deployment is None:
        return NO_CONTAINER
    return deployment.image or deployment.manager


class CurrentRequest(Request):
    """The version that shall answer."""

    version: Version


class ReplicasRequest(Request):
    """How many replicas there shall be."""

    replicas: int = Field(ge=0, le=MAX_REPLICAS, examples=[2])

"""The nouns: applications, models, replicas, and the inputs and outputs that pass between them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from clipper.core.errors import InvalidInput

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
DEFAULT_BATCH_SIZE = -1
NO_CONTAINER = "NO_CONTAINER"
DEFAULT_CONTEXT = "0"


class InputType(StrEnum):
    """What an application sends and a model takes."""

    INTEGERS = "integers"
    FLOATS = "floats"
    DOUBLES = "doubles"
    STRINGS = "strings"
    BYTES = "bytes"
    JSON = "json"

    @classmethod
    def parse(cls, text: str) -> "InputType":
        """Accept a canonical name or one of the aliases that clients use.

        Raises:
            InvalidInput: no such input type.
        """
        try:
            return _INPUT_TYPES[text]
        except KeyError:
            raise InvalidInput(
                f"{text} is not a valid input string", hint=f"Choose one of: {', '.join(cls)}."
            ) from None


_INPUT_TYPES = {
    alias: input_type
    for input_type, aliases in {
        InputType.INTEGERS: "integers ints integer int i",
        InputType.FLOATS: "floats float f",
        InputType.DOUBLES: "doubles double d",
        InputType.STRINGS: "strings string strs str s",
        InputType.BYTES: "bytes byte b",
        InputType.JSON: "json",
    }.items()
    for alias in aliases.split()
}


class ModelId(NamedTuple):
    """One immutable build of a model."""

    name: str
    version: str

    @lru_cache(maxsize=4096)  # noqa: B019 -- they are values, and asked for with every query
    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


def model_id(text: str) -> ModelId:
    """From `name:version`."""
    name, _, version = text.partition(":")
    return ModelId(name, version)


@dataclass(frozen=True, slots=True)
class ReplicaId:
    """One running copy of a model version."""

    model: ModelId
    index: int

    def __str__(self) -> str:
        return f"{self.model}#{self.index}"


@dataclass(frozen=True, slots=True)
class Application:
    """A named endpoint: what it takes, how fast it must answer, and who answers for it."""

    name: str
    input_type: InputType
    default_output: str
    latency_slo_micros: int
    models: tuple[str, ...] = ()
    """Names of the linked models; each follows its current version."""
    policy: str = "single"
    policy_params: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "zero_one"
    on_overload: str = "default"
    confidence_threshold: float = 0.0
    """Where the models agree less on an answer, from 0 to 1, the default output stands in."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """What labels of feedback mean to the loss, by label (its JSON text where it is no string)."""
    registered: int = 0
    """Of its registration; one that is deleted and created anew is another application, and so is
    one that was given another policy."""

    @property
    def key(self) -> str:
        """Under which is kept what it has learned."""
        return f"{self.name}@{self.registered}"

    @property
    def slo_s(self) -> float:
        """The latency objective in seconds."""
        return self.latency_slo_micros / 1e6


def app_name(key: str) -> str:
    """Of the application that has this key."""
    return key.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Deployment:
    """How the replicas of a model version are started."""

    manager: str
    """`process` or `docker`."""
    framework: str
    """A folder of `containers/`: `sklearn`, `python`, `noop`."""
    path: str
    """The saved model; or `file.py:ClassName`, a class that loads it."""
    model_data: str = ""
    """The saved model where `path` is a class."""
    replicas: int = 1
    image: str = ""
    """Docker only; empty means the framework's own image."""
    requirements: tuple[str, ...] = ()
    """Packages in an environment of the model's own, lines of pip's; none: in the manager's."""
    output: str = ""
    """Which of the model's outputs or methods answers; empty is the framework's usual one."""
    gpus: tuple[str, ...] = ()
    """Sets of GPUs, `0,1` or `all`, that the replicas take in turn."""
    memory_bytes: int = 0
    """What one replica may use; 0 is the manager's own limit."""
    cpus: float = 0.0
    """Docker only: cores of one replica; 0 is the manager's own limit."""
    network: str = ""
    """Docker only: a network of Docker's that the model may reach, by name."""

    def gpus_of(self, index: int) -> str:
        """The set of GPUs of one replica; empty where none are asked for."""
        return self.gpus[index % len(self.gpus)] if self.gpus else ""


@dataclass(frozen=True, slots=True)
class Description:
    """What a container says of its model; empty where it does not say."""

    input_type: InputType | None = None
    model: str = ""
    """`scikit-learn 1.9.1, RandomForestClassifier`."""
    input_form: str = ""
    """`float64[30]`."""
    output_form: str = ""


@dataclass(frozen=True, slots=True)
class ApproximateCache:
    """When the output for one input may be served for another."""

    metric: str
    """`angular` (radians) or `euclidean`."""
    radius: float
    """Inputs that are no farther apart are alike."""
    audit: float = 0.02
    """Of such answers, the share that the model is asked for as well, to compare."""
    budget: float = 0.01
    """Of such answers, the share that may be wrong before it switches itself off."""
    margin: float | None = None
    """Serve only score vectors whose best score leads by so much; None serves any output."""
    tolerance: float | None = None
    """By how much numbers may differ and still agree; None compares labels and best scores."""


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model version."""

    id: ModelId
    input_type: InputType
    labels: tuple[str, ...] = ()
    container_name: str = NO_CONTAINER
    model_data_path: str = ""
    batch_size: int = DEFAULT_BATCH_SIZE
    """A fixed batch size, or DEFAULT_BATCH_SIZE to let the controller find it."""
    controller: str = "aimd"
    """Finds the batch size limit: `aimd` or `quantile`."""
    batch_wait_ms: float = 0.0
    """How long a query may be kept waiting for a fuller batch."""
    hedging: float = 0.0
    """Of the queries, the share that may be sent to a second replica as well."""
    approximate_cache: ApproximateCache | None = None
    deployment: Deployment | None = None
    registered: int = 0
    """Order of registration; the newest has the largest."""


class Input(msgspec.Struct, frozen=True, gc=False):
    """One query's payload as it travels: the cache compares it, the wire concatenates it.

    A Struct is made and hashed several times faster than a NamedTuple, and this one, which can be
    part of no cycle, is none of the garbage collector's business.
    """

    data: bytes
    """Little-endian numbers, UTF-8 text, raw bytes, or JSON text, by the input type."""
    shape: tuple[int, ...] | None = None
    """Arrays of more than one dimension only; None is a plain vector, or no array."""


class Output(msgspec.Struct, frozen=True, gc=False):
    """One model's answer, a JSON value, with its text, encoded once."""

    value: Any
    json: bytes


class BatchOutputs(NamedTuple):
    """One output for each input of a batch, and the time that the model's own code took."""

    outputs: Sequence[Output]
    model_s: float

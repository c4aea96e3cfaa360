"""The keys that both admin interfaces take in the same words, turned into our nouns."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from clipper.abstraction.approximate import Metric
from clipper.core.errors import InvalidInput
from clipper.core.types import DEFAULT_BATCH_SIZE, ApproximateCache
from clipper.frontend.body import INT32, shown
from clipper.selection.losses import LOSSES
from clipper.selection.policies import POLICIES, find_policy
from clipper.serving.checks import MAX_HEDGING, MAX_WAIT_MS, ON_OVERLOAD

CONTROLLERS = ("aimd", "quantile", "fixed")
BATCHING = ("controller", "size", "wait_ms")
APPROXIMATE_CACHE = tuple(field.name for field in fields(ApproximateCache))
SEPARATORS = (",", ":")
BAD_BATCH_SIZE = "The batch size must be positive or DEFAULT_BATCH_SIZE, which is -1"


class Batching(NamedTuple):
    """How the batch sizes of a model version are found."""

    size: int = DEFAULT_BATCH_SIZE
    """A fixed one, or DEFAULT_BATCH_SIZE."""
    controller: str = "aimd"
    wait_ms: float = 0.0


class Policy(NamedTuple):
    """A selection policy by name, and its parameters."""

    name: str
    params: Mapping[str, Any]


def check_no_separators(kind: str, text: str) -> None:
    """Raises InvalidInput, in the old release's words, where its separators are in a text."""
    if any(separator in text for separator in SEPARATORS):
        raise InvalidInput(f"Invalid {kind} supplied: {text}. Contains one of: ',', ':'")


def policy_of(value: Any) -> Policy:
    """Read `selection_policy`: a name, or an object of a name and parameters; None is the default.

    Raises:
        InvalidInput: it is neither, or no policy of this release.
    """
    if value is None:
        return Policy("single", {})
    params = dict(value) if isinstance(value, dict) else {"name": value}
    name = params.pop("name", None)
    if isinstance(name, str) and ":" in name:
        find_policy(name)
        return Policy(name, params)
    return Policy(_choice("selection_policy", name, POLICIES), params)


def labels_of(value: Any) -> Mapping[str, Any]:
    """Read `labels`; None is none.

    Raises:
        InvalidInput: it is no object.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"labels must be an object, not {shown(value)}")
    return value


def loss_of(value: Any) -> str:
    """Read `loss`; None is the default.

    Raises:
        InvalidInput: no loss of this release.
    """
    return "zero_one" if value is None else _choice("loss", value, LOSSES)


def on_overload_of(value: Any) -> str:
    """Read `on_overload`; None is the default.

    Raises:
        InvalidInput: neither `default` nor `reject`.
    """
    return "default" if value is None else _choice("on_overload", value, ON_OVERLOAD)


def confidence_threshold_of(value: Any) -> float:
    """Read `confidence_threshold`; None is 0. Its range is the catalogue's to check.

    Raises:
        InvalidInput: no number.
    """
    if value is None:
        return 0.0
    if not is_number(value):
        raise InvalidInput(f"confidence_threshold must be a number, not {shown(value)}")
    return float(value)


def batching_of(batch_size: int, batching: Any) -> Batching:
    """What `batch_size` and `batching`, which may be None, ask for together.

    Raises:
        InvalidInput: they contradict each other, or a value is out of range.
    """
    if batch_size not in INT32 or (batch_size <= 0 and batch_size != DEFAULT_BATCH_SIZE):
        raise InvalidInput(BAD_BATCH_SIZE)
    if batching is None:
        return Batching(batch_size)
    asked = _batching(batching)
    if batch_size not in (DEFAULT_BATCH_SIZE, asked.size):
        raise InvalidInput(f"batch_size {batch_size} contradicts batching; give one of the two")
    return asked


def _batching(batching: Any) -> Batching:
    if not isinstance(batching, dict):
        raise InvalidInput(f"batching must be an object, not {shown(batching)}")
    for key in batching:
        _choice("batching key", key, BATCHING)
    controller = _choice("batching.controller", batching.get("controller", "aimd"), CONTROLLERS)
    size, wait_ms = batching.get("size"), batching.get("wait_ms", 0)
    if not is_number(wait_ms) or not 0 <= wait_ms <= MAX_WAIT_MS:
        raise InvalidInput(
            f"batching.wait_ms must be a number from 0 to {MAX_WAIT_MS}, not {shown(wait_ms)}"
        )
    if controller == "fixed":
        return Batching(_fixed_size(size), wait_ms=float(wait_ms))
    if size is not None:
        raise InvalidInput(
            f"batching.size belongs to the fixed controller; {controller} finds its own"
        )
    return Batching(DEFAULT_BATCH_SIZE, controller, float(wait_ms))


def hedging_of(value: Any) -> float:
    """Read `hedging`: the share of queries that may be sent twice; None is 0.

    Raises:
        InvalidInput: no number in range.
    """
    if value is None:
        return 0.0
    if not is_number(value) or not 0 <= value <= MAX_HEDGING:
        raise InvalidInput(
            f"hedging must be a share of the queries, from 0 to {MAX_HEDGING}, not {shown(value)}"
        )
    return float(value)


def approximate_cache_of(value: Any) -> ApproximateCache | None:
    """Read `approximate_cache`; None is none. Ranges are the catalogue's to check.

    Raises:
        InvalidInput: it is no object of the known keys, or lacks one that is needed.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidInput(f"approximate_cache must be an object, not {shown(value)}")
    for key in value:
        _choice("approximate_cache key", key, APPROXIMATE_CACHE)
    for key in ("metric", "radius"):
        if key not in value:
            raise InvalidInput(f"approximate_cache.{key} is missing")
    metric = _choice("approximate_cache.metric", value["metric"], tuple(Metric))
    numbers = {key: number for key, number in value.items() if key != "metric"}
    for key, number in numbers.items():
        if not is_number(number) and (number is not None or key not in ("margin", "tolerance")):
            raise InvalidInput(f"approximate_cache.{key} must be a number, not {shown(number)}")
    given = {key: float(number) for key, number in numbers.items() if number is not None}
    return ApproximateCache(metric, **given)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number; true is an int to isinstance."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fixed_size(size: Any) -> int:
    if type(size) is not int or size not in INT32 or size <= 0:
        raise InvalidInput(f"batching.size must be a positive integer, not {shown(size)}")
    return size


def _choice(key: str, value: Any, choices: Collection[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise InvalidInput(
            f"{key} {shown(value)} is not available; choose one of: {', '.join(choices)}"
        )
    return value

"""Off-policy evaluation: what another policy would have cost on logged decisions.

Where the log has a loss for whatever the policy would ask (the log of an ensemble), it is simply
played. Where only one model was asked each time, inverse propensity scoring corrects for who that
was (Li, Chu, Langford and Wang 2011, "Unbiased Offline Evaluation of Contextual-bandit-based News
Article Recommendation Algorithms"; Horvitz and Thompson 1952): a loss counts
`pi / p` times, pi being how probable the policy makes the model that was asked, and p how probable
it was. Divided by the sum of these weights instead of the number of decisions it has a small bias
and much less variance, which is what we report. A policy that learns is taught by what it would
have asked as well.
"""

from collections.abc import Iterable, Mapping
from random import Random
from typing import NamedTuple

from clipper.core.errors import InvalidInput
from clipper.core.types import ModelId, Output
from clipper.selection.losses import LOSSES
from clipper.selection.policy import Lesson, Selection, SelectionPolicy, State
from clipper.selection.sequential import Interval

TWO_SIGMA = 1.96


class Logged(NamedTuple):
    """One decision, and what became of it."""

    scope: str
    """Decisions of one scope (an application and a context) share a state."""
    linked: tuple[ModelId, ...]
    selection: Selection
    outputs: Mapping[ModelId, Output]
    label: object
    losses: Mapping[ModelId, float]


class Estimate(NamedTuple):
    """What a policy would have cost."""

    decisions: int
    used: float
    """As how many decisions of its own these count (the effective sample size)."""
    loss: float
    """The mean, by weight."""
    interval: Interval
    """At 95 per cent."""
    mean_weight: float
    """Near 1 where the log can tell about this policy at all."""


def evaluate(
    policy: SelectionPolicy, decisions: Iterable[Logged], loss: str, seed: int = 0
) -> Estimate:
    """Play the decisions in their order.

    Raises:
        InvalidInput: there is no decision that the policy could be judged by.
    """
    random = Random(seed)
    states: dict[str, State] = {}
    weights: list[float] = []
    costs: list[float] = []
    for logged in decisions:
        scope = "" if policy.is_shared else logged.scope
        state = states.get(scope)
        state = policy.init() if state is None else state
        selection = policy.select(state, logged.linked, random.random())
        weight, cost = _judged(policy, state, selection, logged, loss)
        weights.append(weight)
        costs.append(cost)
        asked = selection.models + selection.shadows
        if all(model in logged.losses for model in asked):
            losses = {model: logged.losses[model] for model in asked}
            outputs = {m: logged.outputs[m] for m in asked if m in logged.outputs}
            lesson = Lesson(selection, losses, outputs, logged.label)
            states[scope] = policy.observe(state, logged.linked, lesson)
    total = sum(weights)
    if not total:
        raise InvalidInput(
            "The log has no decision that this policy would have taken.",
            hint="Replay a log of exp3, thompson, or an ensemble, which try every model.",
        )
    mean = sum(w * c for w, c in zip(weights, costs, strict=True)) / total
    squares = sum((w * (c - mean)) ** 2 for w, c in zip(weights, costs, strict=True))
    half = TWO_SIGMA * squares**0.5 / total
    used = total**2 / sum(weight**2 for weight in weights)
    interval = Interval(max(mean - half, 0.0), min(mean + half, 1.0))
    return Estimate(len(weights), used, mean, interval, total / len(weights))


def _judged(
    policy: SelectionPolicy, state: State, selection: Selection, logged: Logged, loss: str
) -> tuple[float, float]:
    """As how much a decision counts, and what the policy would have paid."""
    if len(logged.losses) < len(logged.linked) and len(logged.selection.models) == 1:
        (asked,) = logged.selection.models
        if asked not in logged.linked or asked not in logged.losses:
            return 0.0, 0.0
        share = policy.shares(state, logged.linked)[logged.linked.index(asked)]
        return share / logged.selection.propensity, logged.losses[asked]
    outputs = {m: logged.outputs[m] for m in selection.models if m in logged.outputs}
    if not outputs:
        known = [logged.losses[model] for model in selection.models if model in logged.losses]
        return (1.0, max(known)) if known else (0.0, 0.0)
    answer, _ = policy.combine(state, selection.models, outputs)
    return 1.0, LOSSES[loss](logged.label, answer.value)

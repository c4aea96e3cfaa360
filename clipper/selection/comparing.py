"""Policies that compare models on live traffic: a fixed split, a canary, a shadow.

What they learn is one state for the whole application, so that its figures are about all its
users; a user (a context that is named) always meets the same model, as long as the shares stay.
The shares therefore lie in an order of their own: that of the models changes with every version
that is deployed or made current.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from clipper.core.errors import InvalidInput
from clipper.core.types import ModelId
from clipper.selection.arms import ArmsState, Bandit
from clipper.selection.parameters import LEAST, check_range
from clipper.selection.policy import (
    UNTRIED,
    Comparison,
    Lesson,
    Mean,
    Selection,
    State,
    Tally,
    Traffic,
    drawn,
)
from clipper.selection.sequential import ALPHA, Sample, difference

MOST_WEIGHT = 1e6


def is_called(model: ModelId, name: str) -> bool:
    """Whether a model is meant by its name, or by name and version."""
    return name in (model.name, str(model))


def with_version(names: Sequence[str]) -> list[str]:
    """Those that name a version too."""
    return [name for name in names if ":" in name]


class Sticky(Bandit):
    """A draw selects the same model as long as the shares stay, whatever order models come in."""

    is_shared = True
    is_sticky = True

    def place(self, model: ModelId) -> Any:
        """By what the shares are ordered; nothing that changes when a version becomes current."""
        raise NotImplementedError

    def select(self, state: State, models: Sequence[ModelId], draw: float) -> Selection:
        """The model in whose share the draw is."""
        shares = dict(zip(models, self.shares(state, models), strict=True))
        ordered = sorted(models, key=self.place)
        return drawn(ordered, [shares[model] for model in ordered], draw)


class Split(Sticky):
    """An A/B test: each model answers a stated share of the queries, or of the contexts."""

    name = "ab"

    def __init__(self, split: Mapping[str, float] | None = None) -> None:
        """`split`: weights by model name, or by `name:version`; evenly where it is left out."""
        super().__init__(forgetting=0)
        if not isinstance(split, Mapping | None):
            raise InvalidInput(
                f"ab got split={split}", hint="split is an object: a weight by model."
            )
        self.split = dict(split or {})
        for model, weight in self.split.items():
            check_range(self.name, f"split.{model}", weight, LEAST, MOST_WEIGHT)
        self.candidates = with_version(list(self.split))

    def shares(self, state: State, models: Sequence[ModelId]) -> list[float]:
        """As stated; evenly where nobody is there whom the split names."""
        weights = [
            float(self.split.get(str(model), self.split.get(model.name, 0.0))) for model in models
        ]
        total = sum(weights)
        if not total:
            return [1 / len(models)] * len(models)
        return [weight / total for weight in weights]

    def place(self, model: ModelId) -> tuple[str, str]:
        """By what the split calls it: the name alone, unless a weight is for this version."""
        name = str(model)
        return (name if name in self.split else model.name), name


class Shadow(Bandit):
    """One model answers; the others are asked when there is time, and judged."""

    name = "shadow"
    is_shared = True

    def __init__(self, primary: str = "") -> None:
        """`primary`: a model's name, or `name:version`; the one that was linked first if empty."""
        super().__init__(forgetting=0)
        if not isinstance(primary, str):
            raise InvalidInput(f"shadow got primary={primary}", hint="primary is a model's name.")
        self.primary = primary
        self.candidates = with_version([primary])

    def shares(self, state: State, models: Sequence[ModelId]) -> list[float]:
        """All for one; the first where the one that was named is not there."""
        shares = [float(is_called(model, self.primary)) for model in models]
        if not any(shares):
            shares[0] = 1.0
        return shares

    def select(self, state: State, models: Sequence[ModelId], draw: float) -> Selection:
        """The one, and the others as shadows."""
        answering = models[self.shares(state, models).index(1.0)]
        shadows = tuple(model for model in models if model != answering)
        return Selection((answering,), 1.0, shadows)


class Seen(msgspec.Struct, frozen=True):
    """All the traffic of one model so far."""

    asked: int = 0
    failed: int = 0
    latency: float = 0.0
    square: float = 0.0

    def after(self, more: Traffic) -> "Seen":
        """With what came since."""
        return Seen(
            self.asked + more.asked,
            self.failed + more.failed,
            self.latency + more.latency,
            self.square + more.square,
        )


class CanaryState(ArmsState, frozen=True):
    """The trial of a candidate."""

    traffic: dict[str, Seen] = {}  # noqa: RUF012 -- msgspec copies it
    candidate: str = ""
    """Whom the trial is about (`name:version`)."""
    verdict: str = ""
    """`promoted`, `rolled back`, or empty while it is open; it is final."""
    reason: str = ""
    about: str = ""
    """What the candidate is allowed."""


class Canary(Sticky):
    """A new version gets a small share until it is sure to be as good, or to be worse.

    The rule. Three means are compared, the candidate's and those of the model that served before:
    the loss that feedback tells, the share of queries that got no output in time, and the latency
    (as a share of the SLO). The candidate is *rolled back* as soon as its loss or its failures are
    surely more, or its latency surely higher by more than `latency`. It is *promoted* once all
    three are surely not above the other's by more than `margin`, `failures` and `latency`, and it
    was asked `patience` times. "Surely" is a confidence sequence over all three, at 95 per cent, so
    that deciding at any time is allowed. The loss has no say where nobody sends feedback.

    A verdict is about a candidate and what it is allowed: another candidate, or other margins, are
    another trial, which begins anew. Another `share` or `patience` is not.
    """

    name = "canary"
    state_type: type[Any] | None = CanaryState
    watches = True

    def __init__(
        self,
        candidate: str = "",
        share: float = 0.05,
        margin: float = 0.05,
        failures: float = 0.02,
        latency: float = 0.1,
        patience: int = 200,
    ) -> None:
        """`candidate`: a linked model's name, or `name:version` of one."""
        super().__init__(forgetting=0)
        if not (isinstance(candidate, str) and candidate):
            raise InvalidInput(
                f"canary got candidate={candidate!r}",
                hint='Name the newcomer: {"name": "canary", "candidate": "model:2"}.',
            )
        check_range(self.name, "share", share, LEAST, 0.5)
        for name, value in (("margin", margin), ("failures", failures), ("latency", latency)):
            check_range(self.name, name, value, LEAST, 1)
        check_range(self.name, "patience", patience, 1, 1e9)
        self.candidate = candidate
        self.share = share
        self.allowed = (margin, failures, latency)
        self.patience = patience
        self.candidates = with_version([candidate])
        self.about = json.dumps(
            {"margin": float(margin), "failures": float(failures), "latency": float(latency)}
        )

    def init(self) -> CanaryState:
        """A trial that has not begun."""
        return CanaryState(about=self.about)

    def current(self, state: State) -> CanaryState:
        """The trial under these margins: one that has not begun, where there were others."""
        assert isinstance(state, CanaryState)
        return state if state.about == self.about else self.init()

    def place(self, model: ModelId) -> bool:
        """The candidate last."""
        return is_called(model, self.candidate)

    def shares(self, state: State, models: Sequence[ModelId]) -> list[float]:
        """A share for the candidate, or all, or nothing; the rest for the first of the others."""
        trial = self.current(state)
        newcomer, stable = self._parties(models)
        if newcomer is None or stable is None:
            return [1.0] + [0.0] * (len(models) - 1)
        share = self.share
        if trial.candidate == str(newcomer) and trial.verdict:
            share = float(trial.verdict == PROMOTED)
        shares = {newcomer: share, stable: 1 - share}
        return [shares.get(model, 0.0) for model in models]

    def observe(self, state: State, models: Sequence[ModelId], lesson: Lesson) -> CanaryState:
        """Remember the loss, and decide."""
        trial = self._trial(state, models)
        arms = self.taught(trial, models, lesson)
        return self._decided(msgspec.structs.replace(trial, arms=arms), models)

    def watch(
        self, state: State, models: Sequence[ModelId], traffic: Mapping[ModelId, Traffic]
    ) -> CanaryState:
        """Remember failures and latencies, and decide."""
        trial = self._trial(state, models)
        linked = set(map(str, models))
        seen = {model: known for model, known in trial.traffic.items() if model in linked}
        for model, more in traffic.items():
            if str(model) in linked:
                seen[str(model)] = seen.get(str(model), Seen()).after(more)
        return self._decided(msgspec.structs.replace(trial, traffic=seen), models)

    def _parties(self, models: Sequence[ModelId]) -> tuple[ModelId | None, ModelId | None]:
        newcomer = stable = None
        for model in models:
            if is_called(model, self.candidate):
                newcomer = newcomer or model
            else:
                stable = stable or model
        return newcomer, stable

    def _trial(self, state: State, models: Sequence[ModelId]) -> CanaryState:
        """The state, or a new one where the candidate is another than before, or its margins."""
        trial = self.current(state)
        newcomer, _ = self._parties(models)
        if newcomer is None or trial.candidate == str(newcomer):
            return trial
        return CanaryState(candidate=str(newcomer), about=self.about)

    def _decided(self, state: CanaryState, models: Sequence[ModelId]) -> CanaryState:
        newcomer, stable = self._parties(models)
        if state.verdict or newcomer is None or stable is None:
            return state
        samples = zip(self._samples(state, newcomer), self._samples(state, stable), strict=True)
        is_as_good = state.traffic.get(str(newcomer), Seen()).asked >= self.patience
        limits = (0.0, 0.0, self.allowed[-1])
        for what, limit, allowed, (new, old) in zip(
            MEANS, limits, self.allowed, samples, strict=True
        ):
            if not (new.number or old.number):
                continue
            worse = difference(new, old, ALPHA / len(MEANS))
            if worse.low > limit:
                reason = f"its {what} is higher by {worse.low:.3f} to {worse.high:.3f}"
                return msgspec.structs.replace(state, verdict=ROLLED_BACK, reason=reason)
            is_as_good &= worse.high <= allowed
        if not is_as_good:
            return state
        reason = f"after {state.traffic[str(newcomer)].asked} queries it is as good as {stable}"
        return msgspec.structs.replace(state, verdict=PROMOTED, reason=reason)

    def tally(self, state: State, model: ModelId) -> Tally:
        """Its arm in this trial."""
        return self.current(state).arms.get(str(model), UNTRIED)

    def comparisons(self, state: State, models: Sequence[ModelId]) -> list[Comparison]:
        """What is known of the three means."""
        trial = self._trial(state, models)
        newcomer, stable = self._parties(models)
        if newcomer is None or stable is None:
            return []
        samples = zip(self._samples(trial, newcomer), self._samples(trial, stable), strict=True)
        return [
            Comparison(
                what,
                Mean(newcomer, new.number, new.mean, new.interval()),
                Mean(stable, old.number, old.mean, old.interval()),
                difference(new, old, ALPHA / len(MEANS)),
                allowed,
            )
            for what, allowed, (new, old) in zip(MEANS, self.allowed, samples, strict=True)
        ]

    def _samples(self, state: CanaryState, model: ModelId) -> tuple[Sample, Sample, Sample]:
        arm, seen = self.tally(state, model), state.traffic.get(str(model), Seen())
        answered = seen.asked - seen.failed
        return (
            sample(arm),
            Sample(seen.asked, seen.failed, seen.failed),
            Sample(answered, seen.latency, seen.square),
        )


PROMOTED, ROLLED_BACK = "promoted", "rolled back"
MEANS = ("loss", "share of failures", "latency (of the SLO)")


def sample(tally: Tally) -> Sample:
    """A model's losses."""
    return Sample(tally.weight, tally.loss, tally.square)

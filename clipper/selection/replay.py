"""Off-policy evaluation: what another policy would have cost on logged decisions.

Where a decision tells the loss of every model (the log of an ensemble), the policy is simply
played. Where one model was asked, the log has only part of the truth, and which part is up to who
logged it. Then decisions are rejected until those that are left are as if the policy had taken them
itself (Li, Chu, Langford and Wang 2011, "Unbiased Offline Evaluation of Contextual-bandit-based
News Article Recommendation Algorithms"; for logs that are not uniform Dudik, Erhan, Langford and Li
2014, "Doubly Robust Policy Evaluation and Optimization", on policies that change): one counts with
probability `c pi / p`, pi being how probable the policy makes the model that was asked, p how
probable it was, and c the least `p / pi` of all models. So c does not depend on who was asked, each
model counts as often as the policy would ask it, and what the policy learns is what it would have
learned. The price is a shorter life: the estimate is of its first decisions, as many as are left.

A policy that learns nothing needs no such life. It is judged on all decisions, each weighed by
`pi / p`, divided by the sum of the weights (Horvitz and Thompson 1952, self-normalised).

What c is nobody knows exactly (see `logged`). Where it was too large, `c pi / p` is above 1, and
the decision counts as much; the policy was not taught as often as it should have been. Where that
is frequent, or the log lacks what the policy would ask next, the estimate is called doubtful.
"""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from clipper.core.errors import InvalidInput
from clipper.core.types import DEFAULT_CONTEXT, Output
from clipper.selection.logged import Logged, Logger, Watched
from clipper.selection.losses import LOSSES, check_loss
from clipper.selection.policy import Lesson, Selection, SelectionPolicy, State
from clipper.selection.sequential import Interval

TWO_SIGMA = 1.96
ALMOST_UNSEEN = 3.0
"""What was not seen in n trials happens less often than this by n, at 95 per cent."""
FEWEST = 100
"""Decisions that make an estimate; it is doubtful below."""
MOST_MISSING = 0.05
"""Of the decisions, the share that may be lacking before the rest is doubtful."""
MOST_SKEW = 0.2
"""How far the mean of the weights may be from 1."""
UNJUDGED_LOSS = 1.0
"""Of an output that the loss cannot judge, as when serving."""


class Estimate(NamedTuple):
    """What a policy would have cost."""

    decisions: int
    """In the log."""
    used: float
    """As how many decisions of its own these count (the effective sample size)."""
    loss: float
    """The mean."""
    interval: Interval
    """At 95 per cent."""
    doubt: str
    """Why the estimate may be wrong, whatever the interval; empty where nothing speaks for that."""


def evaluate(
    policy: SelectionPolicy, events: Iterable[Logged | Watched], loss: str, seed: int = 0
) -> Estimate:
    """Play the decisions in their order, judged by a loss.

    Raises:
        InvalidInput: no such loss, one that can judge nothing of what was logged, or a log without
            a decision that the policy could be judged by.
    """
    check_loss(loss)
    player, logger = _Player(policy, loss, Random(seed)), Logger()
    for event in events:
        if isinstance(event, Watched):
            logger.watch(event)
            player.watch(event)
        else:
            player.play(event, logger)
    return player.estimate()


class _Player:
    """A policy on its way through a log."""

    def __init__(self, policy: SelectionPolicy, loss: str, random: Random) -> None:
        self._policy = policy
        self._loss = loss
        self._random = random
        self._states: dict[str, State] = {}
        self._decisions = 0
        self._weights: list[float] = []
        self._costs: list[float] = []
        self._excess = 0.0
        """Weight beyond 1, of decisions that should have been taught more often than once."""
        self._lacking = 0.0
        """Weight of decisions of which the log lacks what the policy would have asked."""
        self._is_kept = False
        """Contexts were kept to one model each, which a policy for each context would not do."""
        self._judged = 0
        """Outputs."""
        self._unjudged = 0
        """Outputs that this loss cannot judge, unless it is the one that was served by."""
        self._refusal: InvalidInput | None = None
        """Why the first output that could not be judged was not."""

    def watch(self, watched: Watched) -> None:
        """Tell the policy, where it wants to know."""
        if self._policy.watches:
            state = self._state(DEFAULT_CONTEXT)
            state = self._policy.watch(state, watched.linked, watched.traffic)
            self._states[self._scope(DEFAULT_CONTEXT)] = state

    def play(self, logged: Logged, logger: Logger) -> None:
        """One decision."""
        self._decisions += 1
        if not logged.linked:
            return
        state, chances = self._state(logged.context), logger.follow(logged)
        by = logger.policy(logged.by)
        if _was_free(logged, by):
            chosen, weight = self._accept(state, logged, chances)
            self._is_kept |= by is not None and by.is_sticky and logged.context != DEFAULT_CONTEXT
        else:
            chosen, weight = self._select(state, logged), 1.0
        if chosen is None:
            return
        selection = self._escalated(state, logged, chosen)
        if selection is None:
            self._lacking += weight
        else:
            self._weights.append(weight)
            self._learn(state, logged, selection)

    def _learn(self, state: State, logged: Logged, selection: Selection) -> None:
        """Pay for a decision, and be taught by it."""
        losses = {
            model: self._cost(logged, logged.outputs[model])
            if model in logged.outputs
            else logged.losses[model]  # it said nothing
            for model in selection.models + selection.shadows
            if model in logged.losses
        }
        outputs = {model: logged.outputs[model] for model in losses if model in logged.outputs}
        said = {model: outputs[model] for model in selection.models if model in outputs}
        if said:
            answer, _ = self._policy.combine(state, selection.models, said)
            self._costs.append(self._cost(logged, answer))
        else:
            self._costs.append(max(losses[model] for model in selection.models))
        lesson = Lesson(selection, losses, outputs, logged.label)
        scope = self._scope(logged.context)
        self._states[scope] = self._policy.observe(state, logged.linked, lesson)

    def _cost(self, logged: Logged, output: Output) -> float:
        """What an output costs."""
        try:
            cost = LOSSES[self._loss](logged.label, output.value)
        except InvalidInput as error:
            self._refusal = self._refusal or error
            self._unjudged += logged.by.loss != self._loss
            return UNJUDGED_LOSS
        self._judged += 1
        return cost

    def _scope(self, context: str) -> str:
        return "" if self._policy.is_shared else context

    def _state(self, context: str) -> State:
        scope = self._scope(context)
        if scope not in self._states:
            self._states[scope] = self._policy.init()
        return self._states[scope]

    def _select(self, state: State, logged: Logged) -> Selection:
        return self._policy.select(state, logged.linked, self._random.random())

    def _accept(
        self, state: State, logged: Logged, chances: Sequence[float]
    ) -> tuple[Selection | None, float]:
        """The choice that was logged as the policy's own, and its weight; none if it is not."""
        policy, linked, first = self._policy, logged.linked, logged.selection.models[0]
        selection = self._select(state, logged)
        if len(selection.models) > 1:
            return selection, 1.0  # it asks several, whose outputs are logged or not
        if first not in linked:
            return None, 0.0
        shares = policy.shares(state, linked)
        share = shares[linked.index(first)]
        weight = share / logged.selection.propensity
        if policy.state_type is not None:
            weight *= min(1.0, *_ratios(chances, shares))
            if self._random.random() >= weight:
                return None, 0.0
            weight = max(weight, 1.0)
            self._excess += weight - 1
        if selection.models != (first,):
            selection = Selection((first,), share)
        return (selection, weight) if weight else (None, 0.0)

    def _escalated(self, state: State, logged: Logged, selection: Selection) -> Selection | None:
        """With all whom the policy asks; None where the log lacks one of them."""
        models = list(selection.models)
        while all(model in logged.losses for model in models):
            if not self._policy.escalates:
                return selection
            outputs = {m: logged.outputs[m] for m in models if m in logged.outputs}
            more = self._policy.escalate(state, logged.linked, models, outputs)
            if more is None:
                return selection._replace(models=tuple(models))
            models.append(more)
        return None

    def estimate(self) -> Estimate:
        """From all that was played.

        Raises:
            InvalidInput: nothing was, or nothing of it could be judged.
        """
        if self._refusal is not None and not self._judged:
            raise self._refusal
        total = sum(self._weights)
        if not total:
            raise InvalidInput(
                "The log has no decision that this policy would have taken.",
                hint="Replay a log of exp3, which tries every model, or, for a policy that asks "
                "several at once, a log of an ensemble, which asks all.",
            )
        pairs = list(zip(self._weights, self._costs, strict=True))
        mean = sum(weight * cost for weight, cost in pairs) / total
        squares = sum((weight * (cost - mean)) ** 2 for weight, cost in pairs)
        used = total**2 / sum(weight**2 for weight in self._weights)
        half = max(TWO_SIGMA * squares**0.5 / total, ALMOST_UNSEEN / used)
        interval = Interval(max(mean - half, 0.0), min(mean + half, 1.0))
        return Estimate(self._decisions, used, mean, interval, self._doubt(total, used))

    def _doubt(self, total: float, used: float) -> str:
        skew = abs((total + self._lacking) / self._decisions - 1)
        if self._lacking > MOST_MISSING * (total + self._lacking):
            return "the log lacks outputs that it would ask for"
        if self._unjudged > MOST_MISSING * (self._judged + self._unjudged):
            return f"the loss {self._loss} cannot judge much of the log"
        if self._excess > MOST_MISSING * total or (
            self._policy.state_type is None and skew > MOST_SKEW
        ):
            return "the log hardly tries what it would"
        if self._is_kept and self._policy.state_type is not None and not self._policy.is_shared:
            return "the log keeps each context to one model"
        if used < FEWEST:
            return f"the log tells of {used:.0f} decisions only"
        return ""


def _was_free(logged: Logged, by: SelectionPolicy | None) -> bool:
    """Whether which losses a decision tells was up to a choice of one model.

    Whom a cascade asks after the first depends on what that one said: to who would have asked them
    anyway the rest says nothing.
    """
    if by is not None and by.escalates:
        return True
    return len(logged.selection.models) == 1 and not logged.is_whole


def _ratios(chances: Sequence[float], shares: Sequence[float]) -> Iterator[float]:
    """How often the log tries each model for once that the policy would; at least one."""
    pairs = zip(chances, shares, strict=True)
    return (chance / share for chance, share in pairs if share > 0)

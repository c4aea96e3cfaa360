"""Microseconds of a query by stage, and whether they add up to what the whole costs.

In every round the same is asked of a house as it is, whose processor time is the whole, and of one
under the stopwatch (`subject`), which tells the stages. `read` is what uvloop and the kernel take
until a request is in our hands, seen at a protocol that does nothing with it; `write` has the
kernel's share in it, as uvloop writes at once. Much of the way to the container and back is the
kernel's too, where no stopwatch reaches: `RPC` is what `GrpcReplica.predict` costs by itself for
batches of that size, without their encoding. All figures are medians over the rounds.

What the stopwatch costs is the difference between both houses in one scenario, spread over the
switches; it is taken off in all of them. Nothing else ties the sum of the stages to the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from costs.scenario import Scenario
from costs.seams import STAGES
from costs.stopwatch import callers_share
from costs.subject import Round, Subject, subject

READ, RPC, BATCH_ENCODE = "read", "RPC", "batch encode"
REFERENCE = Scenario(32, is_cached=True)
"""Tells what the stopwatch costs: there, much is watched, and nothing is waited for."""


class Effort(NamedTuple):
    """How long to measure."""

    rounds: int
    queries: int
    """In a round."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What a query costs, in microseconds of processor time."""

    scenario: Scenario
    batch: float
    """Queries in a batch, on average; 0 where none was needed."""
    stages_us: dict[str, float]
    whole_us: float

    @property
    def sum_us(self) -> float:
        """Of the stages."""
        return sum(self.stages_us.values())

    @property
    def unexplained(self) -> float:
        """Share of the whole that is in no stage; negative where the stages are more."""
        return 1 - self.sum_us / self.whole_us


@dataclass(frozen=True, slots=True)
class Switching:
    """What a switch of the stopwatch and back costs, in microseconds."""

    own_us: float
    """In the stage that is switched to."""
    callers_us: float


def break_down(scenarios: Sequence[Scenario], effort: Effort) -> list[Breakdown]:
    """The cost of each scenario's queries."""
    most = max(one.connections for one in (REFERENCE, *scenarios))
    with subject(most, is_watched=False) as plain, subject(most, is_watched=True) as watched:
        switching = _switching(*_rounds(plain, watched, REFERENCE, effort))
        return [
            _breakdown(one, switching, *_rounds(plain, watched, one, effort)) for one in scenarios
        ]


def _rounds(
    plain: Subject, watched: Subject, scenario: Scenario, effort: Effort
) -> tuple[list[Round], list[Round]]:
    pairs = [
        (plain.ask(scenario, effort.queries), watched.ask(scenario, effort.queries))
        for _ in range(effort.rounds)
    ]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _switching(plain: list[Round], watched: list[Round]) -> Switching:
    slower_us = median(w.whole_us - p.whole_us for p, w in zip(plain, watched, strict=True))
    each_us = slower_us / sum(watched[0].calls)
    callers_us = callers_share() * each_us
    return Switching(each_us - callers_us, callers_us)


def _breakdown(
    scenario: Scenario, switching: Switching, plain: list[Round], watched: list[Round]
) -> Breakdown:
    rounds = [_corrected(one, switching) for one in watched]
    stages_us = {READ: median(one.read_us for one in plain)}
    stages_us |= {stage: median(one[stage] for one in rounds) for stage in STAGES}
    way_us = median(one.way_us for one in plain)
    stages_us[RPC] = way_us - stages_us[BATCH_ENCODE] if way_us else 0.0
    batch = median(one.batch for one in plain)
    return Breakdown(scenario, batch, stages_us, median(one.whole_us for one in plain))


def _corrected(one: Round, switching: Switching) -> dict[str, float]:
    figures = zip(STAGES, one.spent_us, one.calls, one.made, strict=True)
    return {
        stage: spent_us - calls * switching.own_us - made * switching.callers_us
        for stage, spent_us, calls, made in figures
    }

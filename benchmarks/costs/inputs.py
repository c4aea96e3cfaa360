"""How the stages grow with the size of an input, as JSON and as a frame."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from costs.growth import RETRIES, Growth
from costs.payloads import FRAMES, JSON
from costs.scenario import Scenario
from costs.stages import Breakdown, Effort, break_down

ASKING = 10
SIZES = (8, 784, 8192)
STAGES = ("read", "decode", "cache", "batch encode", "RPC")
"""Those that look at an input."""
SCENARIOS = [Scenario(ASKING, False, size, form) for form in (JSON, FRAMES) for size in SIZES]
"""Every size in either form, asked by as many as in the other cases."""


def confirmed(found: Sequence[Breakdown], effort: Effort) -> Sequence[Breakdown]:
    """What was found, measured again where it grows as it may not."""
    for _ in range(RETRIES):
        if all(one.is_allowed for one in growths_by_size(found)):
            break
        found = break_down([one.scenario for one in found], effort)
    return found


def growths_by_size(breakdowns: Sequence[Breakdown]) -> Iterator[Growth]:
    """What the whole and each of these stages cost, by size."""
    for form, group in groupby(breakdowns, lambda one: one.scenario.form):
        by_size = {one.scenario.numbers: one for one in group}
        what = f"floats in an input, {form}"
        wholes = {size: one.whole_us for size, one in by_size.items()}
        yield Growth(what, "query", False, wholes)
        for stage in STAGES:
            costs = {size: one.stages_us[stage] for size, one in by_size.items()}
            yield Growth(what, stage, False, costs)

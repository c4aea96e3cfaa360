"""Where does a query's time go, and what does its cost grow with?

Three looks at it; the modules in `costs/` say how each figure is got. **Stages**: microseconds of
the daemon's processor time from the bytes of a request to the bytes of its answer, by stage, beside
what the whole costs (`stages`). **Growth**: what a query costs by the number of applications,
models, versions, replicas, connections, and by the size of inputs (`growth`, `cases`, `inputs`); a
look-up that grows, or a cost that grows faster than linearly, makes the program exit with 1.
**Processes**: processor time of daemon, container and load generator under load (`processes`).
"""

import argparse
import shutil
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import uvloop
from costs.cases import CASES
from costs.growth import Case, Growth, grow_all
from costs.inputs import SCENARIOS, confirmed, growths_by_size
from costs.plot import plot
from costs.processes import Load, measure_loads
from costs.scenario import Scenario
from costs.stages import Breakdown, Effort, break_down
from costs.tables import growth_table, loads_table, stages_table
from report import write_json

CONNECTIONS = (1, 32, 128)


def main() -> None:
    """Measure, print tables, write JSON and a picture; exit with 1 where something grows."""
    parser = argparse.ArgumentParser(prog="make bench-profile", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything")
    is_quick = parser.parse_args().quick
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    connections = CONNECTIONS[1:2] if is_quick else CONNECTIONS
    effort = Effort(3, 200) if is_quick else Effort(15, 1000)
    scenarios = [Scenario(n, is_cached) for is_cached in (False, True) for n in connections]
    found = break_down([*scenarios, *SCENARIOS], effort)
    stages, by_size = found[: len(scenarios)], confirmed(found[len(scenarios) :], effort)
    show("Stages", stages_table(stages))
    show("Stages by size of the input", stages_table(by_size))
    growths = [*growths_by_size(by_size), *uvloop.run(grow_all(cases(is_quick), effort.rounds))]
    show("Growth", growth_table(growths))
    loads = measure_loads(connections, 1 if is_quick else 3)
    show("Processes", loads_table(loads))
    write_json("profile", as_json([*stages, *by_size], growths, loads))
    plot(stages)
    judge(growths)


def cases(is_quick: bool) -> list[Case]:
    """All of them, with fewer sizes where it has to be quick."""
    return [replace(one, sizes=one.sizes[::2]) for one in CASES] if is_quick else list(CASES)


def show(title: str, lines: Iterable[str]) -> None:
    """A table under a title."""
    print(f"\n## {title}\n")
    print("\n".join(lines), flush=True)


def as_json(
    breakdowns: list[Breakdown], growths: list[Growth], loads: list[Load]
) -> dict[str, Any]:
    """For the report."""
    return {
        "stages": [
            {
                **one.scenario._asdict(),
                "batch": one.batch,
                "stages_us": one.stages_us,
                "sum_us": one.sum_us,
                "whole_us": one.whole_us,
                "unexplained": one.unexplained,
            }
            for one in breakdowns
        ],
        "growth": [
            {
                **asdict(one),
                "exponent": one.exponent,
                "steepest": one.steepest,
                "verdict": one.verdict,
                "is_allowed": one.is_allowed,
            }
            for one in growths
        ],
        "processes": [asdict(one) for one in loads],
    }


def judge(growths: list[Growth]) -> None:
    """Exit with 1 where something grows that may not, or faster than it may."""
    refused = [one for one in growths if not one.is_allowed]
    for one in refused:
        print(f"The cost of a {one.cost_of} by {one.size_of}: {one.verdict}.")
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()

"""What is answered in time when more is asked than can be answered?

Two models, one replica each, an SLO of 50 ms: `sleeping` pauses 5 ms a batch and 50 us an input,
`forest` is a scikit-learn random forest of 100 trees on digits. The capacity is measured first: the
most answers a second that the model gives in time in a closed loop, over several numbers of
connections. Then load is offered in an open loop, at 0.3 to 2 times the capacity, with Poisson
arrivals and with bursts (gamma-distributed gaps, CV 4), to the daemon as it is and to the daemon
with older rules for its queues. What counts is the share of the offered queries that the model
answered within the SLO, from the intended instant of sending on; at twice the capacity the best
that can be is a half. Then an overload that ends, and queries with two SLOs, half 50 and half
250 ms.
"""

import argparse
import itertools
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from open_loop import gamma
from overload.plot import plot
from overload.systems import ADAPTS, APPS_S, MODELS, OURS, SYSTEMS, Running, System, running
from overload.tables import Row, print_loads, print_mixed, print_pulses, print_targets, targets
from overload.trials import Pulse, capacity, in_time, offer, recovery_s, timeline
from report import RESULTS, write_json

CVS = (1.0, 4.0)
MIXED_LOAD = 1.2
MIXED = ("strict", "patient")
STRICT = ("strict",)
WARM_UP = (0.2, 0.5, 0.7, 0.8)
"""Shares of the capacity."""
SEED = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how long."""

    models: tuple[str, ...]
    systems: tuple[System, ...]
    loads: tuple[float, ...]
    seconds: float
    """How long each load is offered."""
    warm_up_s: float


FULL = Plan(MODELS, SYSTEMS, (0.3, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0), 3.0, 4.0)
QUICK = Plan(("sleeping",), (SYSTEMS[1], OURS), (2.0,), 1.0, 1.0)


def main() -> None:
    """Measure, print tables, write JSON and a picture."""
    plan = parse()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    capacities: dict[str, float] = {}
    rows: list[Row] = []
    for model in plan.models:
        with running(OURS, model, STRICT) as one:
            capacities[model] = capacity(one, max(1, round(plan.seconds)))
        print(f"{model}: {capacities[model]:,.0f} queries/s can be answered", flush=True)
        for system in plan.systems:
            rows += measure(plan, system, model, capacities[model])
    show(plan, capacities, rows)


def parse() -> Plan:
    """The plan that the command line asks for."""
    parser = argparse.ArgumentParser(prog="make bench-goodput", description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="names, with commas")
    parser.add_argument("--quick", action="store_true", help="one load, two systems, a second each")
    options = parser.parse_args()
    if options.quick:
        return QUICK
    models = tuple(options.models.split(","))
    if unknown := set(models) - set(MODELS):
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(MODELS)}")
    return Plan(models, FULL.systems, FULL.loads, FULL.seconds, FULL.warm_up_s)


def measure(plan: Plan, system: System, model: str, able: float) -> Iterator[Row]:
    """All figures of one system with one model."""
    rng = np.random.default_rng(SEED)
    about: Row = {"model": model, "system": system.name}
    trials = list(itertools.product(plan.loads, CVS))
    # Who drops nothing would answer the last trial's queries in the next one.
    for together in [[one] for one in trials] if system.keeps_all else [trials]:
        with running(system, model, STRICT) as one:
            warm_up(one, system, able, plan)
            for load, cv in together:
                at_s = gamma(load * able, plan.seconds, cv, rng)
                summary = offer(one, at_s, rng, STRICT).summary(APPS_S["strict"])
                say(about, f"{load:g} times, CV {cv:g}: {summary.goodput_share:.1%}")
                yield {**about, "kind": "load", "load": load, "cv": cv, **asdict(summary)}
    with running(system, model, STRICT) as one:
        warm_up(one, system, able, plan)
        found = pulse(one, able, plan.seconds, rng)
        say(about, f"recovered after {found['recovery_s']} s")
        yield {**about, "kind": "pulse", **found}
    with running(system, model, MIXED) as one:
        warm_up(one, system, able, plan)
        found = mixed(one, able, plan.seconds, rng)
        say(about, f"two SLOs, {MIXED_LOAD:g} times: {found['goodput_share']:.1%}")
        yield {**about, "kind": "mixed", **found}


def warm_up(one: Running, system: System, able: float, plan: Plan) -> None:
    """Let the limit of batches find its place, where there is one to be found."""
    rng = np.random.default_rng(SEED)
    for share in WARM_UP if system.batch_size == ADAPTS else ():
        offer(one, gamma(share * able, plan.warm_up_s / len(WARM_UP), 1.0, rng), rng, STRICT)


def pulse(system: Running, able: float, seconds: float, rng: np.random.Generator) -> Row:
    """An overload that ends."""
    course = Pulse(each_s=seconds)
    outcomes = offer(system, course.instants(able, rng), rng, STRICT)
    shares = timeline(outcomes, in_time(outcomes, STRICT), 3 * seconds)
    recovered_s = recovery_s(shares, 2 * seconds)
    return {"course": asdict(course), "shares": shares, "recovery_s": recovered_s}


def mixed(system: Running, able: float, seconds: float, rng: np.random.Generator) -> Row:
    """Two SLOs."""
    at_s = gamma(MIXED_LOAD * able, seconds, 1.0, rng)
    outcomes = offer(system, at_s, rng, MIXED)
    made_it = in_time(outcomes, MIXED)
    shares = {
        app: float(made_it[outcomes.which == number].mean()) for number, app in enumerate(MIXED)
    }
    return {"load": MIXED_LOAD, "goodput_share": float(made_it.mean()), "shares": shares}


def say(about: Row, what: str) -> None:
    """Progress."""
    print(f"  {about['model']}, {about['system']}: {what}", flush=True)


def show(plan: Plan, capacities: dict[str, float], rows: list[Row]) -> None:
    """On the terminal, and in files."""
    for model in plan.models:
        print_loads(model, capacities[model], rows)
    print_pulses(rows)
    print_mixed(rows)
    aims = targets(rows)
    print_targets(aims)
    plan_as_json = {**asdict(plan), "systems": [one.name for one in plan.systems]}
    write_json(
        "goodput",
        {"plan": plan_as_json, "capacities": capacities, "targets": aims, "rows": rows},
    )
    plot(rows, RESULTS / "goodput.png")


if __name__ == "__main__":
    main()

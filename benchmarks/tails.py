"""What becomes of the tail of latency when one of three replicas is slow, or becomes slow, or dies?

Each replica sleeps for 5 ms a batch and 50 us a query; the slow one takes ten times as long.
Queries come as a Poisson process, at a rate that two of them can bear, and never repeat. `in turn`
is the daemon as it is, but that whoever is idle takes the next batch (`in_turn.py`). `in time` is
what a model answered within 100 ms; `share` is what the replica in question had of the work, a
third being even; `extra` is how many queries were sent a second time, as a copy or as a probe.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from open_loop import poisson
from peers.closed_loop import closed_loop
from report import write_json
from tails_plot import plot
from tails_tables import print_steady, print_timelines
from tails_timeline import Event, timeline
from tails_trio import HEDGED, LIMIT, OURS, REPLICAS, SIMPLE, SLO_S, Case, Trio, trio

SOUND = Case("all sound, least predicted work")
LOADS = (0.55, 0.64)
"""Of the capacity of three: two are busy for 83 and for 96 per cent of the time."""
SEED = 7


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long things are measured, in seconds."""

    capacity: int = 4
    warm_up: float = 2.0
    steady: float = 10.0
    third: float = 7.0
    """Of a time line: before, while a replica is slow, and afterwards."""


QUICK = Lengths(1, 0.3, 0.5, 1.5)


def main() -> None:
    """Measure, print tables, write JSON and a picture."""
    parser = argparse.ArgumentParser(prog="make bench-tails", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some of it, in short runs")
    quick = parser.parse_args().quick
    lengths, loads = (QUICK, LOADS[:1]) if quick else (Lengths(), LOADS)
    capacity, steady = measure_sound(loads, lengths)
    rates = [load * capacity for load in loads]
    for case in (SIMPLE,) if quick else (SIMPLE, OURS, HEDGED):
        steady += measure_slowed(case, rates, lengths)
    timelines = [
        measure_slowing(case, rates[0], lengths)
        for case in ((HEDGED,) if quick else (SIMPLE, OURS, HEDGED))
    ]
    if not quick:
        timelines.append(measure_kill(OURS, rates[0], lengths))
    print_steady(steady)
    print_timelines(timelines)
    report = {"capacity_per_s": capacity, "steady": steady, "timelines": timelines}
    settings = {"replicas": REPLICAS, "batch_size_limit": LIMIT, "slo_ms": SLO_S * 1e3}
    write_json("tails", {"quick": quick, **settings, **report})
    plot(timelines, loads[0])


def measure_sound(loads: Sequence[float], lengths: Lengths) -> tuple[float, list[dict[str, Any]]]:
    """Answers a second of three sound replicas in a closed loop, and a row for each load."""
    with trio(SOUND) as three:
        say("capacity of three replicas")
        capacity = closed_loop(three.served.endpoint, 128, lengths.capacity)["requests_per_s"]
        rows = [measure_rate(SOUND, three, load * capacity, lengths) for load in loads]
    return capacity, rows


def measure_slowed(case: Case, rates: list[float], lengths: Lengths) -> list[dict[str, Any]]:
    """A row for each rate, with a replica that is slow from the start."""
    with trio(case) as three:
        three.slow_down()
        return [measure_rate(case, three, rate, lengths) for rate in rates]


def measure_rate(case: Case, three: Trio, rate: float, lengths: Lengths) -> dict[str, Any]:
    """What became of the queries of one run, after a warm-up at the same rate."""
    say(f"{case.name}, {rate:.0f} queries/s")
    rng = np.random.default_rng(SEED)
    three.offer(poisson(rate, lengths.warm_up, rng))
    counts_before, before = three.served.counts(), worked(three)
    summary = three.offer(poisson(rate, lengths.steady, rng)).summary(SLO_S)
    counts, after = three.served.counts().since(counts_before), worked(three)
    shares = (after - before) / (after - before).sum()
    return {
        "case": case.name,
        "offered": summary.offered,
        "offered_per_s": summary.offered_per_s,
        "p50_ms": summary.p50_ms,
        "p99_ms": summary.p99_ms,
        "p999_ms": summary.p999_ms,
        "in_time_share": summary.goodput_share,
        "shares": shares.tolist(),
        "hedged_share": counts.hedged / counts.asked,
        "extra_share": max(counts.sent - counts.asked, 0.0) / counts.asked,
        "mean_batch": counts.sent / counts.batches,
        "is_reliable": summary.is_reliable,
    }


def worked(three: Trio) -> NDArray[np.float64]:
    """float64[replicas]: queries that each has answered so far."""
    return np.array([state["queries"] for state in three.served.replicas()], np.float64)


def measure_slowing(case: Case, rate: float, lengths: Lengths) -> dict[str, Any]:
    """One replica becomes slow after a third of the run, and is sound again after two."""
    third_s = lengths.third
    events = [
        Event("slow", third_s, Trio.slow_down),
        Event("sound again", 2 * third_s, Trio.recover),
    ]
    return measure_events(case, rate, 3 * third_s, events, lengths)


def measure_kill(case: Case, rate: float, lengths: Lengths) -> dict[str, Any]:
    """One replica is killed after a third of the run."""
    events = [Event("killed", lengths.third, Trio.kill)]
    return measure_events(case, rate, 3 * lengths.third, events, lengths)


def measure_events(
    case: Case, rate: float, seconds: float, events: list[Event], lengths: Lengths
) -> dict[str, Any]:
    """A time line, from three sound replicas on."""
    say(f"{case.name}: {', then '.join(event.what for event in events)}")
    rng = np.random.default_rng(SEED)
    with trio(case) as three:
        three.offer(poisson(rate, lengths.warm_up, rng))
        return {"case": case.name, **timeline(three, poisson(rate, seconds, rng), events)}


def say(what: str) -> None:
    """Progress."""
    print(f"measuring {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

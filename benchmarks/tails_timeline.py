"""A run in which something happens to a replica: latencies and shares over time."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from outcomes import Outcomes, percentiles_ms
from tails_trio import SLO_S, Trio

LOOK_S = 0.2
BIN_S = 0.5
BACK = 0.5
"""A replica is back when it takes this part of an even share."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happens, and about when: the exact instant is noted when it does."""

    what: str
    at_s: float
    action: Callable[[Trio], None]


@dataclass(slots=True)
class Watch:
    """What is seen of the replicas meanwhile, on the clock of `time.perf_counter`."""

    trio: Trio
    events: Sequence[Event]
    happened: list[tuple[str, float]] = field(default_factory=list)
    looks_s: list[float] = field(default_factory=list)
    queries: list[list[int]] = field(default_factory=list)
    """Of each replica so far, all its lives together."""
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look, and make things happen, until it is over."""
        coming = list(self.events)
        started_s = time.perf_counter()
        while not self.over.wait(LOOK_S):
            if coming and time.perf_counter() - started_s >= coming[0].at_s:
                event = coming.pop(0)
                event.action(self.trio)
                self.happened.append((event.what, time.perf_counter()))
            self.look()

    def look(self) -> None:
        """Note how much each replica has done."""
        now = [state["queries"] for state in self.trio.served.replicas()]
        self.looks_s.append(time.perf_counter())
        self.queries.append(now)


def timeline(trio: Trio, at_s: NDArray[np.float64], events: Sequence[Event]) -> dict[str, Any]:
    """Send a query at each instant, and have the events happen meanwhile."""
    watch = Watch(trio, events)
    watching = threading.Thread(target=watch.run)
    watching.start()
    try:
        outcomes = trio.offer(at_s)
    finally:
        watch.over.set()
        watching.join()
    happened = [
        {"what": what, "at_s": round(at - outcomes.started_s, 3)} for what, at in watch.happened
    ]
    edges = np.arange(0.0, at_s[-1], BIN_S)
    return {
        "events": happened,
        "bins": bins(outcomes, watch, edges),
        "back_after_s": back_after_s(outcomes, watch),
        "is_reliable": outcomes.summary(SLO_S).is_reliable,
    }


def bins(
    outcomes: Outcomes, watch: Watch, edges: NDArray[np.float64]
) -> list[dict[str, float | None]]:
    """What became of the queries of each half second, and the victim's share of the work."""
    return [
        {
            "from_s": float(edge),
            **figures(outcomes, edge, edge + BIN_S),
            "share": share(watch, outcomes.started_s + edge, outcomes.started_s + edge + BIN_S),
        }
        for edge in edges[:-1]
    ]


def figures(outcomes: Outcomes, start_s: float, stop_s: float) -> dict[str, float | None]:
    """Of the queries that were due in between."""
    chosen = (outcomes.at_s >= start_s) & (outcomes.at_s < stop_s)
    answered = chosen & (outcomes.status == 200)
    p50_ms, p99_ms, max_ms = percentiles_ms(outcomes.latency_s[answered], (50, 99, 100))
    in_time = chosen & outcomes.by_model & (outcomes.latency_s <= SLO_S)
    return {
        "p50_ms": p50_ms,
        "p99_ms": p99_ms,
        "max_ms": max_ms,
        "in_time_share": float(in_time.sum() / max(1, chosen.sum())),
    }


def share(watch: Watch, start_s: float, stop_s: float) -> float:
    """Of the queries that replicas answered in between, the first one's share."""
    done = np.array(
        [np.interp([start_s, stop_s], watch.looks_s, so_far) for so_far in totals(watch)]
    )
    of_each = done[:, 1] - done[:, 0]
    return float(of_each[0] / max(of_each.sum(), 1.0))


def totals(watch: Watch) -> NDArray[np.float64]:
    """float64[replicas, looks]: a replica that was started anew counts from nothing again."""
    counts = np.array(watch.queries, np.float64).T
    steps = np.diff(counts, axis=1, prepend=counts[:, :1])
    return np.where(steps < 0, counts, steps).cumsum(axis=1)


def back_after_s(outcomes: Outcomes, watch: Watch) -> float | None:
    """How long after the last event the victim worked for its share again; None if it never did."""
    if not watch.happened:
        return None
    at_s = watch.happened[-1][1]
    even = 1 / len(watch.queries[0])
    for before, after in zip(watch.looks_s, watch.looks_s[1:], strict=False):
        if before >= at_s and share(watch, before, after) >= BACK * even:
            return after - at_s
    return None

"""What is measured of an overloaded system."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from open_loop import CLIPPER_MARKER, Target, gamma, run
from outcomes import Outcomes
from overload.systems import APPS_S, Running
from peers.closed_loop import closed_loop, runs
from peers.contest import Endpoint

CLOSED_LOOPS = (128, 256, 512, 1024)
MOST_CONNECTIONS = 4096
WINDOW_S = 0.1
HEALTHY = 0.9
"""Recovered: from then on every window has this share of its queries answered in time."""


def capacity(system: Running, seconds: int) -> float:
    """The most answers by the model a second, in time, in any of some closed loops."""
    return max(answers_per_s(system, connections, seconds) for connections in CLOSED_LOOPS)


def answers_per_s(system: Running, connections: int, seconds: int) -> float:
    """In one closed loop."""
    port = int(system.daemon.query.rpartition(":")[2])
    endpoint = Endpoint(
        port=port,
        payload=system.payload("strict"),
        output=lambda answer: float(answer["output"]),
        defaults=lambda: sum(
            system.daemon.counter("clipper_queries_total", outcome=outcome)
            for outcome in ("late", "overloaded", "no_model", "model_failed", "rejected")
        ),
    )
    return closed_loop(endpoint, connections, seconds)["requests_per_s"]


def offer(
    system: Running, at_s: NDArray[np.float64], rng: np.random.Generator, apps: Sequence[str]
) -> Outcomes:
    """Send queries at these instants, each to an application by chance, none twice."""
    port = int(system.daemon.query.rpartition(":")[2])
    which = rng.integers(len(apps), size=len(at_s)).astype(np.uint8)
    counts = np.bincount(which, minlength=len(apps))
    targets = [
        Target(
            "127.0.0.1",
            port,
            system.payload(app).requests(int(count), next(runs)),
            CLIPPER_MARKER,
        )
        for app, count in zip(apps, counts, strict=True)
    ]
    slo_s = max(APPS_S[app] for app in apps)
    rate = len(at_s) / max(float(at_s[-1]), 1e-9)
    connections = min(MOST_CONNECTIONS, 64 + math.ceil(1.5 * rate * slo_s / len(apps)))
    return run(targets, at_s, which, connections=connections)


def in_time(outcomes: Outcomes, apps: Sequence[str]) -> NDArray[np.bool_]:
    """Of each query, whether the model answered it within its application's SLO."""
    slos_s = np.array([APPS_S[app] for app in apps])[outcomes.which]
    with np.errstate(invalid="ignore"):
        made_it: NDArray[np.bool_] = outcomes.by_model & (outcomes.latency_s <= slos_s)
    return made_it


@dataclass(frozen=True, slots=True)
class Pulse:
    """An overload that ends: the load, as shares of the capacity, before, during and after."""

    before: float = 0.5
    during: float = 2.0
    after: float = 0.5
    each_s: float = 4.0

    def instants(self, capacity: float, rng: np.random.Generator) -> NDArray[np.float64]:
        """Arrivals, Poisson in each of its parts."""
        parts = [
            gamma(load * capacity, self.each_s, 1.0, rng) + index * self.each_s
            for index, load in enumerate((self.before, self.during, self.after))
        ]
        return np.concatenate(parts)


def timeline(outcomes: Outcomes, made_it: NDArray[np.bool_], seconds: float) -> list[float | None]:
    """The share that was answered in time of the queries that arrived in each window."""
    edges = np.arange(0, seconds + WINDOW_S / 2, WINDOW_S)
    arrived = np.histogram(outcomes.at_s, edges)[0]
    good = np.histogram(outcomes.at_s[made_it], edges)[0]
    return [
        float(one) / int(all_) if all_ else None for one, all_ in zip(good, arrived, strict=True)
    ]


def recovery_s(shares: Sequence[float | None], ended_s: float) -> float | None:
    """How long after the overload's end all is well again for good; None: not within the run."""
    first = round(ended_s / WINDOW_S)
    ill = [index for index, share in enumerate(shares) if index >= first and (share or 0) < HEALTHY]
    healthy_from = max(ill, default=first - 1) + 1
    return None if healthy_from >= len(shares) else (healthy_from - first) * WINDOW_S

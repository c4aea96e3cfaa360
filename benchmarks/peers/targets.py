"""What Clipper aims at beside the peers, and what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from peers.results import CACHED, OURS, Results, Row

RATE = "requests_per_s"


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that should be at least, or at most, so much."""

    name: str
    wanted: float
    got: float
    against: str
    """Whose figure it was compared with."""
    is_upper_bound: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether it is."""
        return self.got <= self.wanted if self.is_upper_bound else self.got >= self.wanted


def targets(results: Results) -> list[Target]:
    """Those for which there are figures."""
    found = [
        rate_factor(results, "noop", 128, 1.8),
        rate_factor(results, "noop", 128, 2.5, "triton"),
        rate_factor(results, "noop", 32, 1.5),
        latency_factor(results, 0.8),
        latency(results, 1.0),
        cache_factor(results, 1.5),
        rate_factor(results, "classifier", 128, 1.0),
        rate_factor(results, "sleeping", 128, 1.0),
        goodput_factor(results, "noop", 1.0),
        goodput_factor(results, "classifier", 1.0),
        goodput_factor(results, "sleeping", 1.0),
    ]
    return [target for target in found if target is not None]


def fastest(rows: Iterable[Row], system: str) -> Row | None:
    """The row of a system with the setting that answers most."""
    own = [row for row in rows if row.system == system]
    return max(own, key=lambda row: row.medians[RATE], default=None)


def quickest(rows: Iterable[Row]) -> Row | None:
    """The row with the lowest median latency."""
    return min(rows, key=lambda row: row.medians["p50_ms"], default=None)


def rivals(rows: Iterable[Row], system: str | None = None) -> list[Row]:
    """The rows of all peers, or of one."""
    return [
        row for row in rows if row.system not in (OURS, CACHED) and system in (None, row.system)
    ]


def rate_factor(
    results: Results, model: str, connections: int, wanted: float, system: str | None = None
) -> Target | None:
    """Our requests a second over those of the best peer, or of one peer."""
    rows = results.of(model, connections)
    ours, others = fastest(rows, OURS), rivals(rows, system)
    if ours is None or not others:
        return None
    best = max(others, key=lambda row: row.medians[RATE])
    name = (
        f"{model}, {connections} connections: requests/s over those of {system or 'the best peer'}"
    )
    return Target(name, wanted, ours.medians[RATE] / best.medians[RATE], str(best))


def latency_factor(results: Results, wanted: float) -> Target | None:
    """Our median latency at one connection over that of the best peer."""
    rows = results.of("noop", 1)
    ours, best = quickest(row for row in rows if row.system == OURS), quickest(rivals(rows))
    if ours is None or best is None:
        return None
    name = "noop, 1 connection: p50 over that of the best peer"
    return Target(name, wanted, ours.medians["p50_ms"] / best.medians["p50_ms"], str(best), True)


def latency(results: Results, wanted_ms: float) -> Target | None:
    """Our median latency at one connection."""
    ours = quickest(row for row in results.of("noop", 1) if row.system == OURS)
    if ours is None:
        return None
    return Target("noop, 1 connection: p50 in ms", wanted_ms, ours.medians["p50_ms"], "", True)


def cache_factor(results: Results, wanted: float) -> Target | None:
    """Cache hits over misses, with the same setting."""
    rows = results.of("noop", 128)
    hits = fastest(rows, CACHED)
    if hits is None:
        return None
    misses = fastest([row for row in rows if row.setting == hits.setting], OURS)
    if misses is None:
        return None
    name = "noop, 128 connections: requests/s from the cache over those past it"
    return Target(name, wanted, hits.medians[RATE] / misses.medians[RATE], OURS)


def goodput_factor(results: Results, model: str, wanted: float) -> Target | None:
    """Our goodput over that of the best peer."""
    rows = [row for row in results.goodputs if row.model == model]
    own = [row for row in rows if row.system == OURS]
    ours = max(own, key=lambda row: row.found.rate, default=None)
    others = [row for row in rows if row.system != OURS]
    if ours is None or not others:
        return None
    best = max(others, key=lambda row: row.found.rate)
    if not best.found.rate:
        return None
    name = f"{model}, within {ours.slo_s * 1e3:.0f} ms: goodput over that of the best peer"
    return Target(name, wanted, ours.found.rate / best.found.rate, str(best))

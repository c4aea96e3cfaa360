"""What does a look-up in the approximate cache's index cost, and what does it find?

Entries are random vectors. One half of the queries lie at the radius from an entry, in a random
direction, which is the hardest place where they may still be found; the other half are unrelated.
The cost is the median over single calls; recall is the share of the first half for which something
within the radius is found. All systems are given the same vectors, one at a time, on one core.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from approximate_systems import Clipper, System, Vectors, yardsticks
from report import write_json
from threadpoolctl import threadpool_limits

from clipper.abstraction.approximate import Metric

LENGTHS = (8, 64, 784)
COUNTS = (100, 1_000, 10_000, 50_000)
MAX_YARDSTICK = 10_000
"""Entries; graphs of more take minutes to make."""
ANGLE = 0.1
"""The radius; the Euclidean one is as far in vectors of the same length."""


@dataclass(frozen=True, slots=True)
class Case:
    """One set of vectors: `pixels` are positive, a narrow cone; others have any direction."""

    metric: Metric
    length: int
    entries: int
    pixels: bool


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--quick", action="store_true", help="small cases and few queries")
    options = parser.parse_args()
    counts, queries = (COUNTS[:2], 200) if options.quick else (COUNTS, options.queries)
    others, rows = yardsticks(), []
    print(
        f"{'metric':10}{'inputs':8}{'length':>7}{'entries':>8} {'system':14}{'add us':>8}"
        f"{'near us':>8}{'far us':>8}{'p99 us':>8}{'recall':>8}{'compared':>9}"
    )
    with threadpool_limits(1):
        for case in [
            Case(metric, length, entries, pixels)
            for metric in Metric
            for pixels in (False, True)
            for length in LENGTHS
            for entries in counts
        ]:
            systems: dict[str, Callable[..., System]] = {"Clipper": Clipper}
            if case.entries <= MAX_YARDSTICK and not case.pixels:
                systems |= others
            rows += [measure(case, name, systems[name], queries) for name in systems]
    write_json("approximate_index", {"queries": queries, "rows": rows})


def measure(case: Case, name: str, make: Callable[..., System], queries: int) -> dict[str, Any]:
    """One row: what a system costs and finds."""
    entries, near, far, radius = vectors_of(case, queries // 2)
    system = make(case.metric, radius, case.length)
    add_us = [timed(system.add, item)[0] for item in system.prepare(entries)]
    near_runs = [timed(system.find, item) for item in system.prepare(near)]
    far_runs = [timed(system.find, item) for item in system.prepare(far)]
    times = [elapsed_us for elapsed_us, _ in near_runs + far_runs]
    row = {
        "metric": case.metric.value,
        "inputs": "pixels" if case.pixels else "normal",
        "length": case.length,
        "entries": case.entries,
        "system": name,
        "add_us": statistics.median(add_us),
        "near_us": statistics.median(elapsed_us for elapsed_us, _ in near_runs),
        "far_us": statistics.median(elapsed_us for elapsed_us, _ in far_runs),
        "p99_us": statistics.quantiles(times, n=100)[98],
        "recall": statistics.mean(is_found for _, is_found in near_runs),
        "compared": system.index.compared / len(times) if isinstance(system, Clipper) else None,
    }
    print_row(row)
    return row


def vectors_of(case: Case, queries: int) -> tuple[Vectors, Vectors, Vectors, float]:
    """Entries, queries at the radius, unrelated queries, and the radius."""
    rng = np.random.default_rng(3)
    draw = rng.random if case.pixels else rng.standard_normal
    entries = draw((case.entries, case.length)).astype(np.float32)
    near = entries[rng.integers(case.entries, size=queries)].astype(np.float64)
    lengths = np.linalg.norm(near, axis=1, keepdims=True)
    radius = ANGLE if case.metric is Metric.ANGULAR else ANGLE * float(np.median(lengths))
    aside = rng.standard_normal(near.shape)
    aside -= (aside * near).sum(axis=1, keepdims=True) / lengths**2 * near
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    near += (
        aside * 0.9999 * (lengths * math.tan(ANGLE) if case.metric is Metric.ANGULAR else radius)
    )
    far = draw((queries, case.length)).astype(np.float32)
    return entries, near.astype(np.float32), far, radius


def timed(call: Callable[[Any], Any], item: Any) -> tuple[float, Any]:
    """How long a call takes, in microseconds, and what it returns."""
    start = time.perf_counter_ns()
    result = call(item)
    return (time.perf_counter_ns() - start) / 1e3, result


def print_row(row: dict[str, Any]) -> None:
    """As it is measured."""
    compared = "" if row["compared"] is None else f"{row['compared']:.1f}"
    print(
        f"{row['metric']:10}{row['inputs']:8}{row['length']:7}{row['entries']:8} {row['system']:14}"
        f"{row['add_us']:8.1f}{row['near_us']:8.1f}{row['far_us']:8.1f}{row['p99_us']:8.0f}"
        f"{row['recall']:8.3f}{compared:>9}",
        flush=True,
    )


if __name__ == "__main__":
    main()

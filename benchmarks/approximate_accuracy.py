"""What does a radius save, and what does it cost in wrong answers?

A cache answers from near inputs where it can, and asks the model where it cannot. `hits` is the
share of queries that needed no model; no input comes twice, so that none of them is exact. Of the
hits, `disagree` got another label than the model gives for that very input, and at 95 % confidence
`at most` so many do; `wrong` is how many more of all queries are answered wrongly than by the model
alone. `guard` is after how many audits a guard that checks every hit, with a budget of 1 %,
switches off.

`verified` is the cache's own index; `margin` serves only scores that lead by 0.5; `unverified`
takes whatever has the query's own code, as a cache keyed by locality-sensitive codes would.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from approximate_plot import plot
from approximate_systems import Entry
from approximate_workloads import Digits, Stream
from report import write_json

from clipper.abstraction.approximate import ApproximateIndex, Metric
from clipper.abstraction.audit import Audit
from clipper.abstraction.binomial import upper_bound
from clipper.abstraction.distance import Angular, Distance, Euclidean
from clipper.abstraction.hashing import Hash, Hyperplanes, Projections
from clipper.core.outputs import output_of
from clipper.core.types import Input, InputType

ANGLES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
"""Radii; the Euclidean ones are as far between images of median length."""
MARGIN = 0.5
BUDGET = 0.01


class Verified:
    """The index as the cache uses it."""

    def __init__(self, metric: Metric, radius: float, margin: float | None = None) -> None:
        rng = np.random.default_rng(1)
        self._index = ApproximateIndex[Entry](metric, radius, InputType.FLOATS, rng, margin)

    def find(self, entry: Entry) -> Entry | None:
        return self._index.find(entry.input)

    def add(self, entry: Entry) -> None:
        self._index.add(entry)


class Unverified:
    """Entries by their codes, the newest for each; nobody looks how far away it is."""

    def __init__(self, metric: Metric, radius: float) -> None:
        is_angular = metric is Metric.ANGULAR
        rng = np.random.default_rng(1)
        self._hash: Hash = (Hyperplanes if is_angular else Projections)(radius, 64, rng)
        self._distance: Distance = (Angular if is_angular else Euclidean)(radius)
        self._entries: dict[int, Entry] = {}

    def find(self, entry: Entry) -> Entry | None:
        return self._entries.get(self._code(entry))

    def add(self, entry: Entry) -> None:
        self._entries[self._code(entry)] = entry

    def _code(self, entry: Entry) -> int:
        vector = np.frombuffer(entry.input.data, "<f4").astype(np.float64)
        return self._hash.code(vector)


CACHES: dict[str, Callable[[Metric, float], Verified | Unverified]] = {
    "verified": Verified,
    "margin": lambda metric, radius: Verified(metric, radius, MARGIN),
    "unverified": Unverified,
}


def main() -> None:
    """Replay each stream through each cache; print a table, write JSON and a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--quick", action="store_true", help="few queries and radii")
    options = parser.parse_args()
    angles, queries = (ANGLES[2::3], 500) if options.quick else (ANGLES, options.queries)
    digits = Digits()
    streams = digits.streams(queries)
    print(
        f"{'stream':14}{'metric':10}{'radius':>7} {'cache':11}"
        f"{'hits':>7}{'disagree':>9}{'at most':>8}{'wrong':>8}{'guard':>7}"
    )
    rows = [
        replay(stream, metric, angle, digits.median_length, cache)
        for stream in streams
        for metric in Metric
        for angle in angles
        for cache in CACHES
    ]
    accuracy = {stream.name: stream.accuracy for stream in streams}
    print("The model alone is right: " + ", ".join(f"{n} {a:.1%}" for n, a in accuracy.items()))
    write_json("approximate_accuracy", {"queries": queries, "accuracy": accuracy, "rows": rows})
    plot(rows)


def replay(
    stream: Stream, metric: Metric, angle: float, length: float, cache_name: str
) -> dict[str, Any]:
    """One row: every query of a stream in its order."""
    radius = angle if metric is Metric.ANGULAR else angle * length
    cache = CACHES[cache_name](metric, radius)
    guard = Audit(1, BUDGET, None, np.random.default_rng(1))
    hits = disagreed = errors = 0
    for image, label, scores in zip(stream.images, stream.labels, stream.scores, strict=True):
        entry = Entry(Input(image.tobytes()), output_of(scores.tolist()))
        found = cache.find(entry)
        if found is None:
            cache.add(entry)
            continue
        served, true = int(np.argmax(found.output.value)), int(scores.argmax())
        hits += 1
        disagreed += served != true
        errors += int(served != label) - int(true != label)
        guard.judge(found.output, entry.output)
    row = {
        "stream": stream.name,
        "metric": metric.value,
        "angle": angle,
        "radius": radius,
        "cache": cache_name,
        "queries": len(stream.images),
        "hits": hits / len(stream.images),
        "disagreed": disagreed / hits if hits else 0.0,
        "disagreed_at_most": upper_bound(disagreed, hits),
        "wrong_added": errors / len(stream.images),
        "guard_audits": None if guard.is_on else guard.audited,
    }
    print_row(row)
    return row


def print_row(row: dict[str, Any]) -> None:
    """As it is computed."""
    bound = f"{row['disagreed_at_most']:.2%}" if row["hits"] else ""
    guard = "on" if row["guard_audits"] is None else row["guard_audits"]
    print(
        f"{row['stream']:14}{row['metric']:10}{row['radius']:7.2f} {row['cache']:11}"
        f"{row['hits']:7.1%}{row['disagreed']:9.2%}{bound:>8}"
        f"{row['wrong_added']:8.2%}{guard:>7}"
    )


if __name__ == "__main__":
    main()

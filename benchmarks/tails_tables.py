"""The figures of the tails as tables in Markdown."""

from typing import Any

import numpy as np
from table import markdown
from tails_timeline import BIN_S

Row = dict[str, Any]


def print_steady(rows: list[Row]) -> None:
    """One replica is slow from the start to the end."""
    columns = ["", "queries/s", "p50 ms", "p99 ms", "p99.9 ms", "in time", "share", "extra"]
    print(markdown(columns, [steady_cells(row) for row in rows]))


def steady_cells(row: Row) -> list[str]:
    """A line of it."""
    return [
        row["case"] + ("" if row["is_reliable"] else " (the generator was late)"),
        f"{row['offered_per_s']:,.0f}",
        *(f"{row[key]:.1f}" for key in ("p50_ms", "p99_ms", "p999_ms")),
        f"{row['in_time_share']:.2%}",
        f"{row['shares'][0]:.1%}",
        f"{row['extra_share']:.1%}",
    ]


def print_timelines(timelines: list[Row]) -> None:
    """The phases between events: medians over half seconds, and the slowest of the first second."""
    columns = ["", "phase", "p50 ms", "p99 ms", "slowest ms, first second", "in time", "share"]
    print()
    print(markdown(columns, [cells for line in timelines for cells in timeline_cells(line)]))
    for line in timelines:
        after_s, what = line["back_after_s"], line["events"][-1]["what"]
        back = "never" if after_s is None else f"after {after_s:.1f} s"
        print(f"\n{line['case']}, {what}: half of an even share {back}.")


def timeline_cells(line: Row) -> list[list[str]]:
    """A line for each phase."""
    starts = [("sound", 0.0)] + [(event["what"], event["at_s"]) for event in line["events"]]
    stops = [at_s for _, at_s in starts[1:]] + [float("inf")]
    rows = []
    for (what, start_s), stop_s in zip(starts, stops, strict=True):
        bins = [one for one in line["bins"] if start_s - BIN_S < one["from_s"] < stop_s - BIN_S]
        first = [one["max_ms"] or 0.0 for one in bins if one["from_s"] < start_s + 1]
        rows.append(
            [
                line["case"],
                what,
                f"{median(bins, 'p50_ms'):.1f}",
                f"{median(bins, 'p99_ms'):.1f}",
                f"{max(first):.1f}",
                f"{np.mean([one['in_time_share'] for one in bins]):.2%}",
                f"{median(bins, 'share'):.1%}",
            ]
        )
    return rows


def median(bins: list[Row], key: str) -> float:
    """Of those half seconds in which there was an answer."""
    return float(np.median([one[key] for one in bins if one[key] is not None]))

"""Time lines of the tails as a picture."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from report import RESULTS
from tails_timeline import BIN_S


def plot(timelines: list[dict[str, Any]], load: float) -> None:
    """A column for each run: latencies above, the share of the replica in question below."""
    size = (4.5 * len(timelines), 6)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(2, len(timelines), sharex=True, sharey="row", squeeze=False)
    for (above, below), line in zip(grid.T, timelines, strict=True):
        draw(above, below, line)
    grid[0][0].set_ylabel("latency, ms")
    grid[1][0].set_ylabel("share of the replica, %")
    grid[0][0].legend(loc="upper right", fontsize="small")
    figure.suptitle(f"three replicas, {load:.0%} of their capacity")
    file = RESULTS / "tails.png"
    figure.savefig(file, dpi=120)
    print(f"Drawn in {file.relative_to(RESULTS.parent.parent)}.")


def draw(above: Axes, below: Axes, line: dict[str, Any]) -> None:
    """One run."""
    bins = line["bins"]
    at_s = [one["from_s"] + BIN_S / 2 for one in bins]
    above.plot(at_s, [one["p99_ms"] for one in bins], label="p99")
    above.plot(at_s, [one["p50_ms"] for one in bins], label="p50")
    above.set_ylim(bottom=0)
    above.set_title(line["case"], fontsize=10)
    below.plot(at_s, [100 * one["share"] for one in bins], color="C2")
    below.axhline(100 / 3, color="grey", linewidth=0.8)
    below.set_ylim(bottom=0)
    below.set_xlabel("seconds")
    for event in line["events"]:
        for axes in (above, below):
            axes.axvline(event["at_s"], color="C3", linestyle=":")
        below.annotate(event["what"], (event["at_s"], 1), fontsize=8)

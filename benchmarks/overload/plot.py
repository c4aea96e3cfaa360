"""An overload as a picture: shares answered in time by load, and over time."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from overload.systems import OURS
from overload.tables import Row
from overload.trials import WINDOW_S

COLOURS = ("#c7c7c7", "#f0a35e", "#6aa984")
OUR_COLOUR = "#1f77b4"


def plot(rows: list[Row], file: Path) -> None:
    """A row for each model: Poisson arrivals, bursts, and an overload that ends."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    figure, grid = pyplot.subplots(
        len(models), 3, figsize=(15, 4 * len(models)), squeeze=False, sharey=True
    )
    for line, model in zip(grid, models, strict=True):
        chosen = [row for row in rows if row["model"] == model]
        for axes, cv in zip(line, (1.0, 4.0), strict=False):
            draw_loads(axes, [row for row in chosen if row.get("cv") == cv])
            axes.set_title(f"{model}: {'Poisson' if cv == 1 else f'bursts (CV {cv:g})'}")
        draw_pulse(line[2], [row for row in chosen if row["kind"] == "pulse"])
        line[2].set_title(f"{model}: twice the capacity, then half of it")
        line[0].set_ylabel("share answered in time")
    grid[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def draw_loads(axes: Axes, rows: list[Row]) -> None:
    """Shares over the load, beside the best that can be."""
    loads = np.linspace(0.3, 2.0, 50)
    axes.plot(loads, np.minimum(1, 1 / loads), ":", color="black", label="the best that can be")
    for system, colour in coloured(rows):
        own = [row for row in rows if row["system"] == system]
        points = sorted((row["load"], row["goodput_share"]) for row in own)
        axes.plot(*zip(*points, strict=True), "o-", color=colour, label=system)
    axes.set_xlabel("offered load, in capacities")
    axes.set_ylim(0, 1.02)


def draw_pulse(axes: Axes, rows: list[Row]) -> None:
    """Shares over time."""
    for system, colour in coloured(rows):
        row = next(row for row in rows if row["system"] == system)
        shares = [np.nan if share is None else share for share in row["shares"]]
        axes.plot(np.arange(len(shares)) * WINDOW_S, shares, color=colour)
        each_s = row["course"]["each_s"]
        axes.axvspan(each_s, 2 * each_s, color="#eeeeee", zorder=0)
    axes.set_xlabel("seconds")


def coloured(rows: list[Row]) -> list[tuple[str, str]]:
    """Systems, ours in our colour."""
    others = iter(COLOURS)
    names = dict.fromkeys(row["system"] for row in rows)
    return [(name, OUR_COLOUR if name == OURS.name else next(others)) for name in names]

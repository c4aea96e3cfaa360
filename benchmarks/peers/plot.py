"""The comparison as a picture: answers a second, and goodput, for each model."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from peers.results import CACHED, OURS, Results
from peers.targets import RATE

OUR_COLOUR = "#1f77b4"
THEIR_COLOUR = "#b0b0b0"


def plot(results: Results, file: Path) -> None:
    """A column for each model: closed loop above, open loop below; each system's better setting."""
    models = list(dict.fromkeys(row.model for row in results.rows))
    figure, grid = pyplot.subplots(2, len(models), figsize=(5 * len(models), 7), squeeze=False)
    for column, model in enumerate(models):
        rows = [row for row in results.rows if row.model == model]
        most = max(row.connections for row in rows)
        closed = [(row.system, row.medians[RATE]) for row in rows if row.connections == most]
        draw(grid[0][column], f"{model}: answers/s, {most} connections", closed)
        goodputs = [row for row in results.goodputs if row.model == model]
        slo = f"{goodputs[0].slo_s * 1e3:.0f} ms" if goodputs else "the SLO"
        found = [(row.system, row.found.rate) for row in goodputs]
        draw(grid[1][column], f"{model}: queries/s of which 99 % within {slo}", found)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def draw(axes: Axes, title: str, figures: list[tuple[str, float]]) -> None:
    """Bars, the highest on top, one for each system."""
    best: dict[str, float] = {}
    for system, figure in figures:
        best[system] = max(figure, best.get(system, 0.0))
    ordered = sorted(best, key=lambda system: best[system])
    colours = [OUR_COLOUR if system in (OURS, CACHED) else THEIR_COLOUR for system in ordered]
    bars = axes.barh(ordered, [best[system] for system in ordered], color=colours)
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.set_title(title, fontsize=10)
    axes.margins(x=0.18)
    axes.spines[["top", "right"]].set_visible(False)

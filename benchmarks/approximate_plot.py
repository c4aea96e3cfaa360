"""Hits and disagreement against the radius, as a picture."""

import importlib.util
from typing import Any

from report import RESULTS

CACHES = ("verified", "margin", "unverified")
STYLES = {"angular": "-", "euclidean": "--"}
FEW = 30
"""Shares of fewer hits say nothing."""

Row = dict[str, Any]


def plot(rows: list[Row]) -> None:
    """A column for each cache, a colour for each stream; needs matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        print("Without a picture: matplotlib is not installed (pip install '.[bench]').")
        return
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(CACHES), sharex=True, sharey="row", figsize=(12, 7))
    for (above, below), cache in zip(axes.T, CACHES, strict=True):
        _draw(above, below, [row for row in rows if row["cache"] == cache])
        above.set_title(cache)
    axes[0, 0].set_ylabel("hits, % of queries")
    axes[1, 0].set_ylabel("disagreeing, % of hits")
    axes[0, -1].legend(loc="lower right", fontsize="small")
    figure.tight_layout()
    file = RESULTS / "approximate_accuracy.png"
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
    print(f"Drawn in {file.relative_to(RESULTS.parent.parent)}.")


def _draw(above: Any, below: Any, rows: list[Row]) -> None:
    streams = list(dict.fromkeys(row["stream"] for row in rows))
    for metric, style in STYLES.items():
        for number, stream in enumerate(streams):
            line = [row for row in rows if (row["metric"], row["stream"]) == (metric, stream)]
            known = [row for row in line if row["hits"] * row["queries"] >= FEW]
            look = {"color": f"C{number}", "linestyle": style, "marker": "."}
            label = stream if style == "-" else None
            above.plot(_column(line, "angle"), _column(line, "hits", 100), label=label, **look)
            below.plot(_column(known, "angle"), _column(known, "disagreed", 100), **look)
    above.plot([], [], color="grey", linestyle="--", label="euclidean")
    below.axhline(1, color="grey", linewidth=0.8)
    below.set_yscale("symlog", linthresh=1)
    below.set_ylim(-0.1, 100)
    below.set_xlabel("radius in radians, or as far apart")


def _column(rows: list[Row], key: str, factor: float = 1) -> list[float]:
    return [factor * row[key] for row in rows]

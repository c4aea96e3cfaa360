"""The stages as stacked bars."""

import importlib.util
from collections.abc import Sequence

from costs.stages import Breakdown
from report import RESULTS


def plot(breakdowns: Sequence[Breakdown]) -> None:
    """A bar for each scenario, and a mark where the whole is; needs matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        print("Without a picture: matplotlib is not installed (pip install '.[bench]').")
        return
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4.5))
    names = [str(one.scenario) for one in breakdowns]
    left = [0.0] * len(breakdowns)
    for number, stage in enumerate(breakdowns[0].stages_us):
        widths = [max(0.0, one.stages_us[stage]) for one in breakdowns]
        colour = pyplot.get_cmap("tab20")(number)
        axes.barh(names, widths, left=left, label=stage, color=colour)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.plot([one.whole_us for one in breakdowns], names, "k|", markersize=22, label="whole")
    axes.invert_yaxis()
    axes.set_xlabel("microseconds of processor time for a query, in the daemon")
    axes.set_ylabel("cache, connections that ask")
    axes.legend(fontsize="small", ncols=2)
    figure.tight_layout()
    file = RESULTS / "profile.png"
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
    print(f"Drawn in {file.relative_to(RESULTS.parent.parent)}.")

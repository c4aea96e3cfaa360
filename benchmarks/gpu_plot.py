"""Batches on a GPU as a picture: the curve of the sizes, and how AIMD finds its own."""

from typing import Any

from matplotlib.figure import Figure
from report import RESULTS


def plot(device: str, curve: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    """Answers a second over the latency of a batch, and the limit over time."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    throughput, limit = figure.subplots(1, 2)
    rates = [row["requests_per_s"] for row in curve]
    throughput.plot([row["batch_p99_ms"] for row in curve], rates, marker=".", label="fixed sizes")
    for row, rate in zip(curve, rates, strict=True):
        throughput.annotate(str(row["size"]), (row["batch_p99_ms"], rate), fontsize="x-small")
    for number, row in enumerate(found, 1):
        label = f"AIMD, {row['objective_ms']:g} ms"
        throughput.plot(row["batch_p99_ms"], row["requests_per_s"], f"C{number}o", label=label)
        throughput.axvline(row["objective_ms"], color=f"C{number}", linewidth=0.5)
        limit.plot(row["limits"], color=f"C{number}", label=label)
        if row["best"] is not None:
            limit.axhline(row["best"], color=f"C{number}", linewidth=0.5)
    throughput.set_title(f"{device}: images/s over p99 of a batch, ms", fontsize=10)
    limit.set_title("limit, seen every tenth of a second, and the best size (thin)", fontsize=10)
    for axes in (throughput, limit):
        axes.set_ylim(bottom=0)
        axes.legend(fontsize="small")
    file = RESULTS / "gpu.png"
    figure.savefig(file, dpi=120)
    print(f"Drawn in {file.relative_to(RESULTS.parent.parent)}.")

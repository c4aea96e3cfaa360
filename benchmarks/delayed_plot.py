"""What a wait does, as a picture: throughput, batches, and the tail over the wait."""

from typing import Any

from matplotlib.figure import Figure
from report import RESULTS


def plot(rows: list[dict[str, Any]]) -> None:
    """A line for each model; throughput with few connections, and, dashed, with many."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    throughput, batch, tail = figure.subplots(1, 3)
    for number, model in enumerate(dict.fromkeys(row["model"] for row in rows)):
        of_model = [row for row in rows if row["model"] == model]
        waits_ms = [row["wait_ms"] for row in of_model]
        for place, style in ((0, "-"), (-1, "--")):
            closed = [row["closed"][place] for row in of_model]
            gain = [one["requests_per_s"] / closed[0]["requests_per_s"] for one in closed]
            label = f"{model}, {closed[0]['connections']} connections"
            throughput.plot(waits_ms, gain, color=f"C{number}", linestyle=style, label=label)
        batch.plot(waits_ms, [row["bursts"]["mean_batch"] for row in of_model], marker=".")
        tail.plot(waits_ms, [row["bursts"]["p99_ms"] for row in of_model], marker=".")
    throughput.set_title("closed loop: answers/s, without a wait = 1", fontsize=10)
    batch.set_title("bursts: queries in a batch", fontsize=10)
    tail.set_title("bursts: p99, ms", fontsize=10)
    throughput.legend(fontsize="small")
    for axes in (throughput, batch, tail):
        axes.set_ylim(bottom=0)
        axes.set_xlabel("wait, ms")
    file = RESULTS / "delayed_batching.png"
    figure.savefig(file, dpi=120)
    print(f"Drawn in {file.relative_to(RESULTS.parent.parent)}.")

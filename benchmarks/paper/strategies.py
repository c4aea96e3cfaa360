"""Figure 4: batches by AIMD, by quantile regression, and none at all.

Through the daemon over REST, in a closed loop of 128 connections with an SLO of a second; the load
takes its share of the two cores.
"""

import tempfile
from pathlib import Path
from typing import Any

from peers.closed_loop import closed_loop
from peers.payload import Payload, plain
from served import Served, served

from paper.figure import Figure, Line
from paper.subjects import deployments

SLO_S = 1.0
"""The paper has 20 ms; in a closed loop, who is refused would come back at once."""
CONNECTIONS = 128
STRATEGIES: dict[str, dict[str, Any]] = {
    "AIMD": {"controller": "aimd"},
    "quantile": {"controller": "quantile"},
    "none": {"controller": "fixed", "size": 1},
}
PAPER = {
    "noop": (48_386, 46_085, 8_964),
    "linear SVM": (48_934, 47_879, 1_921),
    "logistic regression": (47_220, 43_954, 1_921),
    "random forest": (22_859, 19_904, 317),
    "kernel SVM": (198, 189, 203),
}


def run(quick: bool) -> Figure:
    """Play it."""
    warm_s, seconds = (1, 1) if quick else (4, 4)
    rows: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = deployments(Path(folder))
        for name in ("noop", "random forest") if quick else models:
            rows[name] = {
                strategy: measure(models[name], batching, warm_s, seconds)
                for strategy, batching in STRATEGIES.items()
            }
    lines = []
    for name, by_strategy in rows.items():
        for place, strategy in enumerate(STRATEGIES):
            one = by_strategy[strategy]
            gain = one["requests_per_s"] / max(by_strategy["none"]["requests_per_s"], 1.0)
            paper = PAPER[name][place]
            lines.append(
                Line(
                    f"{name}, {strategy}",
                    f"{paper:,}/s, {paper / PAPER[name][2]:.1f} times",
                    f"{one['requests_per_s']:,.0f}/s, {gain:.1f} times",
                    f"p99 {one['p99_ms']:.1f} ms, batches of {one['mean_batch']:.1f}",
                )
            )
    return Figure(
        "strategies",
        "Figure 4: answers a second by how batches are sized (times: over none)",
        lines,
        "The paper offers 100,000 queries a second from other machines; here the load shares two "
        "cores with the daemon and the model, so that cheap models are bounded by the frontend.",
        {"rows": rows},
        lambda axes: draw(axes, rows),
    )


def measure(deployment: Any, batching: Any, warm_s: int, seconds: int) -> dict[str, float]:
    """One model with one strategy."""
    with served(SLO_S, {**deployment, "batching": batching}) as up:
        endpoint = up.endpoint
        asked = Served(
            up.daemon,
            up.clipper,
            type(endpoint)(
                endpoint.port,
                Payload("/app/predict", plain("classifier")),
                endpoint.output,
                endpoint.marker,
                endpoint.defaults,
            ),
        )
        closed_loop(asked.endpoint, CONNECTIONS, warm_s)
        before = up.counts()
        figures = closed_loop(asked.endpoint, CONNECTIONS, seconds)
        counts = up.counts().since(before)
        return {**figures, "mean_batch": counts.sent / max(counts.batches, 1.0)}


def draw(axes: Any, rows: dict[str, dict[str, dict[str, float]]]) -> None:
    """Bars by model."""
    width = 0.25
    for place, strategy in enumerate(STRATEGIES):
        heights = [by[strategy]["requests_per_s"] for by in rows.values()]
        axes.bar([i + place * width for i in range(len(rows))], heights, width, label=strategy)
    axes.set_xticks([i + width for i in range(len(rows))], list(rows), fontsize="small")
    axes.set_yscale("log")
    axes.set_ylabel("answers a second")
    axes.legend()

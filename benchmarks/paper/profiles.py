"""Figure 3: how long a batch takes by its size, and the largest batch within 20 ms.

Through the daemon over REST: a request of as many inputs as a batch may have goes as one batch to
the container. The time is that from when the batch was sent until the answer is there, as the
daemon tells it. The line is fitted to the 99th percentile of each size.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from daemon import Daemon, clipperd

from clipper.admin.client import ClipperConnection
from paper.figure import Figure, Line
from paper.subjects import FEATURES, deployments

OBJECTIVE_MS = 20.0
SIZES = (1, 4, 16, 64, 128, 256)
REPEATS = 40
ENOUGH_S = 8.0
"""For one model and size."""
PAPER = {
    "noop": 1186,
    "logistic regression": 1377,
    "linear SVM": 671,
    "random forest": 443,
    "kernel SVM": 3,
}


def run(quick: bool) -> Figure:
    """Play it."""
    with tempfile.TemporaryDirectory() as folder:
        models = deployments(Path(folder))
        chosen = {name: models[name] for name in (("noop", "linear SVM") if quick else models)}
        sizes, repeats = ((1, 16), 5) if quick else (SIZES, REPEATS)
        profiles = {
            name: profile(deployment, sizes, repeats) for name, deployment in chosen.items()
        }
    fits = {name: fitted(points) for name, points in profiles.items()}
    lines = [
        Line(
            name,
            f"{PAPER[name]}",
            f"{largest(fits[name]):,}",
            f"p99 {fits[name][0] * 1e3:.1f} us x size + {fits[name][1]:.2f} ms",
        )
        for name in profiles
    ]
    if not quick:
        spread = largest(fits["linear SVM"]) / max(1, largest(fits["kernel SVM"]))
        lines.append(Line("linear over kernel SVM", "241 times", f"{spread:,.0f} times", ""))
    return Figure(
        "profiles",
        f"Figure 3: the largest batch within {OBJECTIVE_MS:g} ms",
        lines,
        "Sizes beyond the largest measured are where the line leads. The way from the daemon to "
        "the container and back is part of each figure.",
        {"points_ms": profiles, "fits": fits},
        lambda axes: draw(axes, profiles),
    )


def profile(deployment: Any, sizes: tuple[int, ...], repeats: int) -> dict[int, list[float]]:
    """Milliseconds of each repeat by size, up to the first size that is far too slow."""
    points: dict[int, list[float]] = {}
    for size in sizes:
        with clipperd("--store", "memory://") as daemon:
            points[size] = timed(daemon, deployment, size, repeats)
        if float(np.median(points[size])) > 3 * OBJECTIVE_MS:
            break
    return points


def timed(daemon: Daemon, deployment: Any, size: int, repeats: int) -> list[float]:
    """Of batches of one size."""
    clipper = ClipperConnection(daemon.admin, daemon.query)
    clipper.register_application("app", "floats", "-1", 30_000_000)
    clipper.deploy_model("m", "1", "floats", batch_size=size, **deployment)
    clipper.link_model_to_app("app", "m")
    rng, times = np.random.default_rng(2), []
    until = time.monotonic() + ENOUGH_S
    for _ in range(repeats + 3):
        inputs = list(rng.random((size, FEATURES), dtype=np.float32))
        answers = clipper.predict_batch("app", inputs, explain=True)
        timings = [one.raw["timing"] for one in answers]
        assert not any(one.is_default for one in answers)
        if timings[0]["batch_size"] == size:
            times.append(max(one["total_ms"] - one["queue_ms"] for one in timings))
        if time.monotonic() > until:
            break
    return times[3:] or times


def fitted(points: dict[int, list[float]]) -> tuple[float, float]:
    """Milliseconds for each input, and for a batch of none."""
    sizes = list(points)
    highest = [float(np.percentile(times, 99)) for times in points.values()]
    if len(sizes) == 1:
        return highest[0] / sizes[0], 0.0
    slope, fixed = np.polyfit(sizes, highest, 1)
    return max(float(slope), 1e-4), max(float(fixed), 0.0)


def largest(fit: tuple[float, float]) -> int:
    """The largest batch within the objective."""
    return max(0, int((OBJECTIVE_MS - fit[1]) / fit[0]))


def draw(axes: Any, profiles: dict[str, dict[int, list[float]]]) -> None:
    """Medians over sizes."""
    for name, points in profiles.items():
        axes.plot(
            list(points), [float(np.median(t)) for t in points.values()], marker="o", label=name
        )
    axes.axhline(OBJECTIVE_MS, color="grey", linestyle=":")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("inputs in a batch")
    axes.set_ylabel("ms")
    axes.legend()

"""Figure 9: ensembles of more and more models, some of which are late.

Through the daemon over REST: each model usually takes 4 ms, and now and then much longer, as with
garbage collections and neighbours (a Pareto tail). `ours` answers at the SLO of 20 ms from whatever
is there; `blocking` waits for all. Latencies are the daemon's own, from arrival to answer.
"""

import tempfile
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from daemon import Daemon, clipperd

from clipper.admin.client import ClipperConnection
from paper.asking import User, play
from paper.figure import Figure, Line

SLO_MS, PATIENT_MS = 20.0, 10_000.0
SIZES = (1, 4, 8, 12, 16)
USERS = 4
TARDY = Path(__file__).parents[1] / "models" / "tardy.py"
PAPER = {
    1: (17.0, 17.7, 1.0),
    4: (17.1, 129, 11.6),
    8: (17.5, 152, 14.7),
    12: (19.7, 140, 38.9),
    16: (23.0, 154, 71.3),
}
"""Of each size: p99 of Clipper's and of blocking answers in ms, and models missing in per cent."""


def run(quick: bool) -> Figure:
    """Play it."""
    sizes, queries = ((1, 4), 40) if quick else (SIZES, 500)
    with tempfile.TemporaryDirectory() as folder, clipperd("--store", "memory://") as daemon:
        deploy(daemon, Path(folder), sizes)
        rows = [measure(daemon, size, queries) for size in sizes]
    lines = [
        Line(
            f"{row['size']} models",
            f"p99 {PAPER[row['size']][0]} / {PAPER[row['size']][1]} ms, {PAPER[row['size']][2]} % "
            f"missing",
            f"p99 {row['p99_ms']:.1f} / {row['blocking_p99_ms']:.1f} ms, {row['missing']:.1%} "
            f"missing",
            f"p50 {row['p50_ms']:.1f} / {row['blocking_p50_ms']:.1f} ms",
        )
        for row in rows
    ]
    return Figure(
        "stragglers",
        f"Figure 9: ours / blocking, SLO {SLO_MS:g} ms ({queries * USERS} queries each)",
        lines,
        "The paper's prototype always answers just before the SLO, whether all models have "
        "answered or not; ours answers as soon as they have, so that its median is far below. The "
        "missing are counted as in the table; the paper's plot names that curve wrongly.",
        {"rows": rows},
        lambda axes: draw(axes, rows),
    )


def deploy(daemon: Daemon, folder: Path, sizes: tuple[int, ...]) -> None:
    """The models; for each size two applications, which differ in their patience."""
    connection = ClipperConnection(daemon.admin, daemon.query)
    for number in range(max(sizes)):
        seed = folder / f"{number}.seed"
        seed.write_text(str(number), encoding="utf-8")
        connection.deploy_model(
            f"m{number}",
            "1",
            "floats",
            f"{TARDY}:Tardy",
            framework="python",
            model_data=str(seed),
        )
    for size in sizes:
        for kind, slo_ms in (("ours", SLO_MS), ("blocking", PATIENT_MS)):
            app = f"{kind}{size}"
            connection.register_application(
                app, "floats", "-1", int(slo_ms * 1e3), selection_policy="majority"
            )
            for number in range(size):
                connection.link_model_to_app(app, f"m{number}")


def measure(daemon: Daemon, size: int, queries: int) -> dict[str, Any]:
    """Both applications of a size, in turn."""
    figures: dict[str, Any] = {"size": size}
    for kind, prefix in (("ours", ""), ("blocking", "blocking_")):
        scripts = [script(f"{kind}{size}", f"{kind}{size}{user}", queries) for user in range(USERS)]
        rows = [row for rows in play(daemon.query, scripts) for row in rows]
        latencies = [latency for latency, _ in rows]
        figures[f"{prefix}p50_ms"] = float(np.percentile(latencies, 50))
        figures[f"{prefix}p99_ms"] = float(np.percentile(latencies, 99))
        if kind == "ours":
            figures["missing"] = sum(missing for _, missing in rows) / (len(rows) * size)
    return figures


def script(app: str, name: str, queries: int) -> Any:
    """One user's queries: latency in ms, and how many models were missing."""

    async def ask(user: User) -> list[tuple[float, int]]:
        rows = []
        for number in range(queries):
            answer = await user.predict(
                app, [float(crc32(name.encode()) % 1_000_000), float(number)]
            )
            missing = answer.get("missing", [])
            gone = len(missing) if not answer["default"] else 1
            rows.append((answer["timing"]["total_ms"], gone))
        return rows

    return ask


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    """p99 by size, and what is missing."""
    sizes = [row["size"] for row in rows]
    axes.plot(sizes, [row["p99_ms"] for row in rows], marker="o", label="ours, p99")
    axes.plot(sizes, [row["blocking_p99_ms"] for row in rows], marker="o", label="blocking, p99")
    axes.axhline(SLO_MS, color="grey", linestyle=":", label="SLO")
    axes.set_xlabel("models in the ensemble")
    axes.set_ylabel("ms")
    other = axes.twinx()
    other.plot(sizes, [100 * row["missing"] for row in rows], "k--", label="missing")
    other.set_ylabel("models missing, %")
    axes.legend()

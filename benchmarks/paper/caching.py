"""The prediction cache: throughput against the share of hits, and what it is worth to feedback.

Through the daemon over REST: a model that takes 2 ms for each query, one by one, asked by wrk over
32 connections. By the paper, a share h of hits leaves the model (1 - h) of the queries, so that the
rate is the model's divided by that. Feedback by input looks its prediction up, or has it computed.
"""

import statistics
from pathlib import Path
from typing import Any

from daemon import Daemon, clipperd
from hot_path import wrk_daemon

from clipper.admin.client import ClipperConnection
from paper.figure import Figure, Line

PACED = Path(__file__).parents[1] / "models" / "paced.py"
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9)
CONNECTIONS = 32
PAPER_FEEDBACK = 10_929 / 6_708


def run(quick: bool) -> Figure:
    """Play it."""
    shares, seconds, rounds = ((0.0, 0.5), 1, 1) if quick else (SHARES, 4, 3)
    with clipperd("--store", "memory://") as daemon:
        deploy(daemon)
        rates = {
            share: statistics.median(rate(daemon, share, seconds) for _ in range(rounds))
            for share in shares
        }
        cached, computed = (
            statistics.median(feedback_rate(daemon, share, seconds) for _ in range(rounds))
            for share in (1.0, 0.0)
        )
    model = rates[0.0]
    lines = [
        Line(
            f"{share:.0%} hits",
            f"{model / (1 - share):,.0f}/s by the rule",
            f"{got:,.0f}/s",
            f"{got * (1 - share) / model:.2f} of the rule",
        )
        for share, got in rates.items()
    ]
    lines.append(
        Line(
            "feedback, cached over computed",
            f"{PAPER_FEEDBACK:.2f} (10,929 / 6,708)",
            f"{cached / computed:.2f}",
            f"{cached:,.0f} / {computed:,.0f} a second, exp3",
        )
    )
    return Figure(
        "caching",
        "The cache: answers a second by hits, and its worth to feedback",
        lines,
        "The hot input is one, so that the share of hits is as stated. What feedback gains "
        "depends on how dear the prediction is beside the update; here the model takes 2 ms, one "
        "query at a time.",
        {
            "rates": {str(share): got for share, got in rates.items()},
            "feedback": [cached, computed],
        },
        lambda axes: draw(axes, rates),
    )


def deploy(daemon: Daemon) -> None:
    """The model, one query to a batch, behind an application that learns and one that does not."""
    connection = ClipperConnection(daemon.admin, daemon.query)
    connection.deploy_model(
        "paced", "1", "floats", f"{PACED}:Paced", framework="python", batch_size=1
    )
    for name, policy in (("plain", "single"), ("learning", "exp3")):
        connection.register_application(
            name, "floats", "-1", 5_000_000, selection_policy=policy, loss="zero_one"
        )
        connection.link_model_to_app(name, "paced")


def rate(daemon: Daemon, share: float, seconds: int) -> float:
    """Answers a second."""
    arguments = ("/plain/predict", str(share))
    return wrk_daemon(daemon, "partly", CONNECTIONS, seconds, *arguments)["requests_per_s"]


def feedback_rate(daemon: Daemon, share: float, seconds: int) -> float:
    """Lessons a second."""
    arguments = ("/learning/feedback", str(share), ', "label": 1')
    return wrk_daemon(daemon, "partly", CONNECTIONS, seconds, *arguments)["requests_per_s"]


def draw(axes: Any, rates: dict[float, float]) -> None:
    """Both curves."""
    shares = list(rates)
    axes.plot(shares, list(rates.values()), marker="o", label="ours")
    axes.plot(shares, [rates[0.0] / (1 - share) for share in shares], "k--", label="the rule")
    axes.set_xlabel("share of hits")
    axes.set_ylabel("answers a second")
    axes.legend()

"""Who is measured when: rounds in which each system is up alone."""

import contextlib
import itertools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from peers.catalogue import PEERS
from peers.closed_loop import closed_loop
from peers.contest import Contestant, DidNotStart
from peers.goodput import Search, goodput
from peers.ours import NAME, contestants
from peers.results import GoodputRow, Results
from peers.running import contestant
from peers.training import classifier
from report import RESULTS

CONNECTIONS = (1, 32, 128)
MODELS = {"a": "noop", "b": "classifier", "c": "sleeping"}
SLOS_S = {"noop": 0.02, "classifier": 0.05, "sleeping": 0.05}
GENEROUS_SLO_S = 10.0
"""In a closed loop the load sets the pace, and nothing should be late."""
WARM_UP_S = 1
WARM_UP_CONNECTIONS = 32
SEED = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how long."""

    only: tuple[str, ...]
    models: tuple[str, ...]
    connections: tuple[int, ...]
    rounds: int
    seconds: int
    with_goodput: bool
    precision: float
    """Of the goodput: the factor between a rate that is held and one that is not."""


def compare(plan: Plan, results: Results) -> None:
    """All rounds of all systems, for one model after the other."""
    file = classifier(RESULTS / "cache")
    for model in plan.models:
        everyone = entrants(plan, file, model)
        for number, one in itertools.product(range(1, plan.rounds + 1), everyone):
            print(f"{model}, round {number} of {plan.rounds}: {one}", flush=True)
            with noted(results, model, one):
                take_round(plan, results, model, one)
        for one in everyone:
            if plan.with_goodput and not one.repeats:
                print(f"{model}, goodput: {one}", flush=True)
                with noted(results, model, one):
                    find_goodput(plan, results, model, one)


def entrants(plan: Plan, file: Path, model: str) -> list[Contestant]:
    """Who takes part: ours first, then each peer with each of its settings."""
    ours = contestants(file, model) if NAME in plan.only else []
    peers = [peer for peer in PEERS if peer.name in plan.only]
    return ours + [contestant(peer, one, file) for peer in peers for one in peer.settings]


@contextlib.contextmanager
def noted(results: Results, model: str, one: Contestant) -> Iterator[None]:
    """Whoever cannot be measured is noted by name, and the others go on."""
    try:
        yield
    except (DidNotStart, httpx.HTTPError, subprocess.SubprocessError) as error:
        results.failures[f"{model}: {one}"] = str(error)
        print(f"  failed: {error}", flush=True)


def take_round(plan: Plan, results: Results, model: str, one: Contestant) -> None:
    """One round of one system: a closed loop at each number of connections."""
    with one.serve(model, GENEROUS_SLO_S) as endpoint:
        closed_loop(endpoint, WARM_UP_CONNECTIONS, WARM_UP_S, one.repeats)
        for connections in plan.connections:
            figures = closed_loop(endpoint, connections, plan.seconds, one.repeats)
            results.add(model, one, connections, figures)


def find_goodput(plan: Plan, results: Results, model: str, one: Contestant) -> None:
    """The search of one system, which is told the SLO if it has a notion of one."""
    slo_s = SLOS_S[model]
    search = Search(slo_s, results.guess(model, one), plan.precision, plan.seconds)
    with one.serve(model, slo_s) as endpoint:
        closed_loop(endpoint, WARM_UP_CONNECTIONS, WARM_UP_S)
        found = goodput(endpoint, search, np.random.default_rng(SEED))
    results.goodputs.append(GoodputRow(model, one.system, one.setting, one.apart, slo_s, found))

"""Load that does not wait: requests leave at scheduled instants, whatever became of earlier ones.

A closed loop (wrk) sends the next request when the last one is answered, so a server that stalls is
asked less and looks better than it is. Here latency counts from the intended instant: what waits in
the generator, because all connections are busy, waits on the server's account. The load comes from
a process of its own (`sender`), so that nothing of the caller disturbs it.

    outcomes = run([Target("127.0.0.1", port, requests)], poisson(2000, seconds=5, rng=rng))
    print(outcomes.summary(slo_s=0.02))
"""

import math
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from outcomes import Outcomes

SENDER = Path(__file__).parent / "sender.py"


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, and which."""

    host: str
    port: int
    requests: Sequence[bytes]
    """Whole HTTP requests (`http_answer.post`), sent in turn, and again from the first one when all
    are used: as many as there are instants makes each unique, a few save memory."""
    marker: bytes = b""
    """What is in the body of an answer with 200 that the model itself gave."""


CLIPPER_MARKER = b'"default":false'


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the sender is told."""

    targets: Sequence[Target]
    at_s: NDArray[np.float64]
    """Intended instants from the start on, ascending."""
    which: NDArray[np.uint8]
    connections: int
    """How many to each target; they are opened before the start, and kept. By Little's law as many
    as the rate times the SLO are busy at once where every answer is in time: more are of no use."""
    patience_s: float
    """How long after its intended instant a request is given up, and its connection closed."""


def poisson(rate: float, seconds: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Instants of arrivals that know nothing of one another, `rate` a second on average."""
    return gamma(rate, seconds, 1.0, rng)


def gamma(rate: float, seconds: float, cv: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Instants whose gaps are gamma-distributed with this coefficient of variation.

    Above 1 they come in bursts, below 1 evenly.
    """
    shape = 1 / cv**2
    instants = np.zeros(0)
    while not len(instants) or instants[-1] < seconds:
        count = math.ceil(rate * seconds * 1.1) + 16
        gaps = rng.gamma(shape, 1 / (rate * shape), count)
        instants = np.append(instants, gaps.cumsum() + (instants[-1] if len(instants) else 0.0))
    return instants[instants < seconds]


def run(
    targets: Sequence[Target],
    at_s: NDArray[np.float64],
    which: NDArray[np.uint8] | None = None,
    connections: int = 512,
    patience_s: float = 1.0,
) -> Outcomes:
    """Send every request at its instant to its target (the first where `which` is left out).

    Raises:
        subprocess.CalledProcessError: the sender broke; what it said is on stderr.
    """
    if which is None:
        which = np.zeros(len(at_s), np.uint8)
    plan = pickle.dumps(Plan(targets, at_s, which, connections, patience_s))
    command = [sys.executable, str(SENDER)]
    sent = subprocess.run(command, input=plan, stdout=subprocess.PIPE, check=True)
    outcomes = pickle.loads(sent.stdout)
    assert isinstance(outcomes, Outcomes)
    return outcomes

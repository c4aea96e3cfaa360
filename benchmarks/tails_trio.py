"""Three replicas of the slowable model behind one application, and what can be done to them."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from daemon import CLIPPERD
from numpy.typing import NDArray
from open_loop import Target, run
from outcomes import Outcomes
from peers.closed_loop import runs
from served import Served, served

HERE = Path(__file__).parent
IN_TURN = (str(HERE / "in_turn.py"),)
REPLICAS = 3
LIMIT = 8
"""Queries in a batch. The daemon would find a limit of hundreds, with which no load that this
machine can send keeps three replicas busy; eight make the replicas what is scarce."""
SLO_S = 0.1
CONNECTIONS = 512


@dataclass(frozen=True, slots=True)
class Case:
    """A way of giving batches to replicas."""

    name: str
    program: tuple[str, ...] = CLIPPERD
    hedging: float = 0.0


SIMPLE = Case("in turn", IN_TURN)
OURS = Case("least predicted work")
HEDGED = Case("the same, hedging 5 %", hedging=0.05)


@dataclass(frozen=True, slots=True)
class Trio:
    """The replicas; the first of them is the one that things happen to."""

    served: Served
    marks: Path

    @property
    def victim(self) -> int:
        """The process id of the first replica."""
        return int(self.served.replicas()[0]["identity"].split()[1])

    def slow_down(self) -> None:
        """The first takes ten times as long from now on."""
        (self.marks / str(self.victim)).touch()

    def recover(self) -> None:
        """It is as fast as the others again."""
        for mark in self.marks.iterdir():
            mark.unlink()

    def kill(self) -> None:
        """It ends without a word, as if the machine had run out of memory."""
        os.kill(self.victim, signal.SIGKILL)

    def offer(self, at_s: NDArray[np.float64]) -> Outcomes:
        """Send a query at each of these instants."""
        endpoint = self.served.endpoint
        requests = endpoint.payload.requests(len(at_s), next(runs))
        target = Target("127.0.0.1", endpoint.port, requests, endpoint.marker)
        return run([target], at_s, connections=CONNECTIONS)


@contextlib.contextmanager
def trio(case: Case) -> Iterator[Trio]:
    """Start a daemon with three replicas, and end it."""
    with tempfile.TemporaryDirectory(prefix="clipper-bench-") as marks:
        deployment = {
            "path": f"{HERE / 'models' / 'slowable.py'}:Slowable",
            "framework": "python",
            "model_data": marks,
            "num_replicas": REPLICAS,
            "batch_size": LIMIT,
            "hedging": case.hedging,
        }
        with served(SLO_S, deployment, case.program) as up:
            yield Trio(up, Path(marks))

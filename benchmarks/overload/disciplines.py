"""A clipperd whose queues are served by an older rule, for comparison: RULE, then its own flags.

`fifo` is the paper's: first in, first out, nobody is dropped or refused, and AIMD with the
constants of the paper's prototype measures a batch against the whole SLO. `expired` leaves out
whoever's deadline has passed. Neither refuses requests unread when it is behind. All else of the
daemon is as it is, and it has no such options.
"""

import math
import sys

from clipper import daemon
from clipper.abstraction import layer
from clipper.abstraction.batching import BUDGET, BatchControl, FixedSize, make_control
from clipper.abstraction.latency import LatencyEstimate
from clipper.abstraction.member import Member
from clipper.abstraction.queue import Batch, BatchQueue, Task, Waiter
from clipper.abstraction.scheduler import Rest, Scheduler, Taken
from clipper.core.types import Model
from clipper.frontend import exchange

INCREMENT = 2
BACKOFF = 0.9
DEAD_BAND = 0.1


class Fifo(BatchQueue):
    """First in, first out."""

    def _push(self, task: Task, due: float, now: float) -> None:
        task.queued_at = now
        task.is_queued = True
        self._sequence = task.number = self._sequence + 1
        task.due = 0.0
        self._line.append((task.due, task.number, task))
        self.stats.queue_depth = len(self._line)
        self.bytes += len(task.input.data)


class Plain(Scheduler):
    """Whoever is free takes what comes next."""

    def submit(self, task: Task) -> None:
        self.queue.put(task, self._now())
        self._wake()

    def _next(self, member: Member, limit: int) -> Taken | Rest:
        tasks, ending = self.queue.pop(limit)
        if not tasks:
            return Rest()
        return self._send(member, tasks, Batch(len(tasks), limit, ending), self._now())


class PaperAimd:
    """The limit follows the batch that was measured, full or not."""

    def __init__(self, objective_s: float) -> None:
        self.objective_s = objective_s
        self.batch_size = 1

    def observe(self, size: int, latency_s: float) -> None:
        slo_s = self.objective_s / BUDGET
        if latency_s < slo_s * (1 - DEAD_BAND):
            self.batch_size = size + INCREMENT
        elif latency_s < slo_s:
            self.batch_size = size
        else:
            self.batch_size = max(1, int(size * BACKOFF))

    def explain(self) -> str:
        return "AIMD as in the paper's prototype"


def paper_control(model: Model, objective_s: float, estimate: LatencyEstimate) -> BatchControl:
    """A size that is fixed stays so."""
    chosen = make_control(model, objective_s, estimate)
    return chosen if isinstance(chosen, FixedSize) else PaperAimd(objective_s)


def stay(served: layer.ServedModel, task: Task, waiter: Waiter) -> None:
    """Who has been given the default answer keeps its place in the queue."""
    if waiter in task.waiters:
        task.waiters.remove(waiter)


def main() -> None:
    """Replace what decides, and start the daemon."""
    rule = sys.argv.pop(1)
    if rule not in ("fifo", "expired"):
        sys.exit(f"{rule}: choose fifo or expired")
    for name, older in {
        "BatchQueue": Fifo,
        "Scheduler": Plain,
        "make_control": paper_control,
    }.items():
        setattr(layer, name, older)
    setattr(exchange, "BEHIND", math.inf)  # noqa: B010 -- it is a constant
    if rule == "fifo":
        setattr(layer.ServedModel, "withdraw", stay)  # noqa: B010 -- a method cannot be assigned
    daemon.main()


if __name__ == "__main__":
    main()

"""Hedging: the slowest queries are sent to a second replica as well, within a budget.

A batch that takes clearly longer than ninety-nine in a hundred is copied to another replica;
whoever answers first, answers (Dean and Barroso, "The Tail at Scale", CACM 2013, "Within Request
Short-Term Adaptations"). Copies are paid for in advance with a share of the queries that were sent,
so that they are never more than that share, however slow everything becomes.
"""

from collections.abc import Sequence

from clipper.abstraction.queue import Task

SAVED_MAX = 256.0
"""Copies that quiet times may save up for bad ones."""


class Hedges:
    """The budget of one model version; without a share nothing is ever copied."""

    def __init__(self) -> None:
        self.share = 0.0
        self._saved = 0.0

    def earn(self, queries: int) -> None:
        """So many queries were sent to a replica."""
        self._saved = min(self._saved + self.share * queries, SAVED_MAX)

    def spend(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """Those of the tasks that may be copied."""
        chosen = tasks[: int(self._saved)]
        self._saved -= len(chosen)
        return chosen

"""What a comparison found: rows of figures, and what follows from them."""

import statistics
from dataclasses import dataclass, field
from typing import Any

from peers.contest import Contestant, named
from peers.goodput import Goodput

OURS = "clipper"
CACHED = "clipper, cached"
Figures = dict[str, float]


@dataclass(slots=True)
class Row:
    """One system with one setting, asked for one model over some connections."""

    model: str
    system: str
    setting: str
    apart: bool
    connections: int
    rounds: list[Figures]

    def __str__(self) -> str:
        return named(self.system, self.setting)

    @property
    def medians(self) -> Figures:
        """Over the rounds; errors and default answers are summed instead."""
        figures = {
            key: statistics.median(one[key] for one in self.rounds) for key in self.rounds[0]
        }
        return figures | {
            key: sum(one[key] for one in self.rounds) for key in ("errors", "defaults")
        }


@dataclass(slots=True)
class GoodputRow:
    """What one system with one setting keeps up within an SLO."""

    model: str
    system: str
    setting: str
    apart: bool
    slo_s: float
    found: Goodput

    def __str__(self) -> str:
        return named(self.system, self.setting)


@dataclass(slots=True)
class Results:
    """All of them."""

    rows: list[Row] = field(default_factory=list)
    goodputs: list[GoodputRow] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Who could not be measured, and why."""

    def add(self, model: str, one: Contestant, connections: int, figures: Figures) -> None:
        """A round's figures."""
        for row in self.rows:
            if (row.model, row.system, row.setting, row.connections) == (
                model,
                one.system,
                one.setting,
                connections,
            ):
                row.rounds.append(figures)
                return
        self.rows.append(Row(model, one.system, one.setting, one.apart, connections, [figures]))

    def of(self, model: str, connections: int) -> list[Row]:
        """The rows to be compared with one another."""
        return [row for row in self.rows if (row.model, row.connections) == (model, connections)]

    def guess(self, model: str, one: Contestant) -> float:
        """Where to begin the search for the goodput: half of what a closed loop gave."""
        rates = [
            row.medians["requests_per_s"]
            for row in self.rows
            if (row.model, row.system, row.setting) == (model, one.system, one.setting)
        ]
        return max(rates, default=0.0) / 2

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "rows": [row_json(row) for row in self.rows],
            "goodput": [goodput_json(row) for row in self.goodputs],
            "failures": self.failures,
        }


def row_json(row: Row) -> dict[str, Any]:
    """Medians, and the rounds they are of."""
    return {
        "model": row.model,
        "system": row.system,
        "setting": row.setting,
        "model_apart": row.apart,
        "connections": row.connections,
        **row.medians,
        "rounds": row.rounds,
    }


def goodput_json(row: GoodputRow) -> dict[str, Any]:
    """The rate, and the runs that led to it."""
    return {
        "model": row.model,
        "system": row.system,
        "setting": row.setting,
        "model_apart": row.apart,
        "slo_ms": row.slo_s * 1e3,
        "rate": row.found.rate,
        "is_reliable": row.found.is_reliable,
        "steps": row.found.steps,
    }

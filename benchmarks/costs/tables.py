"""The figures as tables in Markdown."""

from collections.abc import Iterable, Iterator, Sequence

from costs.growth import Growth
from costs.processes import Load
from costs.stages import Breakdown


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines; all columns but the first are figures."""
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def stages_table(breakdowns: Sequence[Breakdown]) -> Iterator[str]:
    """Stages in rows, scenarios in columns, and whether it adds up."""

    def row(name: str, figures: Iterable[float], form: str = ".2f") -> list[str]:
        return [name, *(f"{figure:{form}}" for figure in figures)]

    stages = breakdowns[0].stages_us
    yield from table(
        ["us", *map(str, (one.scenario for one in breakdowns))],
        [
            *(row(stage, (one.stages_us[stage] for one in breakdowns)) for stage in stages),
            row("sum", (one.sum_us for one in breakdowns)),
            row("whole", (one.whole_us for one in breakdowns)),
            row("unexplained", (one.unexplained for one in breakdowns), ".0%"),
            row("queries in a batch", (one.batch for one in breakdowns), ".0f"),
        ],
    )


def growth_table(growths: Sequence[Growth]) -> Iterator[str]:
    """Each cost by size, its exponents, and what that means."""
    yield from table(
        ["number of", "cost of a", "us by number", "exponent", "steepest", "verdict"],
        [
            [
                one.size_of,
                one.cost_of,
                ", ".join(f"{size:,}: {cost:,.1f}" for size, cost in one.costs_us.items()),
                f"{one.exponent:.2f}",
                f"{one.steepest:.2f}",
                one.verdict + ("" if one.is_allowed else ", WHICH IT MAY NOT"),
            ]
            for one in growths
        ],
    )


def loads_table(loads: Sequence[Load]) -> Iterator[str]:
    """Processor time by process, and the share of system calls."""
    yield from table(
        ["load", "connections", "queries/s", *(f"{name} us (kernel)" for name in loads[0].cpu_us)],
        [
            [
                one.kind,
                str(one.connections),
                f"{one.queries_per_s:,.0f}",
                *(
                    f"{cost:.1f} ({one.system_share[name]:.0%})"
                    for name, cost in one.cpu_us.items()
                ),
            ]
            for one in loads
        ],
    )

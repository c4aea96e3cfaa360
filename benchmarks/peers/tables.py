"""Figures for the terminal."""

from peers.results import OURS, Results, Row
from peers.targets import RATE, Target

COLUMNS = ("answers/s", "p50 ms", "p99 ms", "errors", "default", "ours is")


def print_rows(model: str, results: Results) -> None:
    """The closed loop: each setting of each system over all connections."""
    for connections in sorted({row.connections for row in results.rows if row.model == model}):
        rows = results.of(model, connections)
        print(f"\n{model}, {connections} connections")
        print(f"{'system':36}" + "".join(f"{column:>10}" for column in COLUMNS))
        for row in sorted(rows, key=lambda row: -row.medians[RATE]):
            print_row(row, rows)


def print_row(row: Row, rows: list[Row]) -> None:
    """One line; `ours is` says how many times as many requests a second we answer at our best."""
    figures = row.medians
    ours = [other.medians[RATE] for other in rows if other.system == OURS]
    factor = f"{max(ours) / figures[RATE]:8.2f}x" if ours and figures[RATE] else ""
    print(
        f"{row!s:36}{figures[RATE]:10.0f}{figures['p50_ms']:10.2f}{figures['p99_ms']:10.2f}"
        f"{figures['errors']:10.0f}{figures['defaults']:10.0f}{factor:>10}"
    )


def print_goodputs(model: str, results: Results) -> None:
    """The open loop."""
    rows = [row for row in results.goodputs if row.model == model]
    for row in sorted(rows, key=lambda row: -row.found.rate):
        if row is max(rows, key=lambda row: row.found.rate):
            print(
                f"\n{model}: queries/s of which 99 % are answered within {row.slo_s * 1e3:.0f} ms"
            )
        doubt = "" if row.found.is_reliable else "  (the generator was late itself in some runs)"
        print(f"{row!s:36}{row.found.rate:10.0f}{doubt}")


def print_targets(targets: list[Target]) -> None:
    """Reached or not, and by how much not."""
    if targets:
        print("\ntargets")
    for target in targets:
        bound = "at most" if target.is_upper_bound else "at least"
        verdict = "reached" if target.is_reached else "NOT reached"
        against = f" (against {target.against})" if target.against else ""
        print(f"{verdict:12}{target.got:6.2f}, {bound} {target.wanted:.2f}: {target.name}{against}")


def print_failures(results: Results) -> None:
    """Who could not be measured."""
    for name, reason in results.failures.items():
        print(f"\nNOT MEASURED: {name}: {reason}")

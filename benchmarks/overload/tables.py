"""The figures of an overload as tables, and what Clipper aims at."""

from typing import Any

from overload.systems import OURS

Row = dict[str, Any]

AIMS = (
    # kind, load, CV, what is wanted
    ("load", 1.0, 1.0, 0.80),
    ("load", 2.0, 1.0, 0.42),
    ("mixed", 1.2, None, 0.70),
)
RECOVERY_S = 2.0
AIMED_AT = "sleeping"


def print_loads(model: str, capacity: float, rows: list[Row]) -> None:
    """Shares answered in time, by load."""
    chosen = [row for row in rows if row["kind"] == "load" and row["model"] == model]
    loads = sorted({row["load"] for row in chosen})
    for cv in sorted({row["cv"] for row in chosen}):
        arrivals = "Poisson arrivals" if cv == 1 else f"gamma gaps, CV {cv:g}"
        print(f"\n{model}: capacity {capacity:,.0f}/s; share answered in time, {arrivals}\n")
        print(f"| offered load | {' | '.join(f'{load:g}' for load in loads)} |")
        print(f"| --- {'| ---: ' * len(loads)}|")
        for system in dict.fromkeys(row["system"] for row in chosen):
            found = {
                row["load"]: row for row in chosen if (row["system"], row["cv"]) == (system, cv)
            }
            print(f"| {system} | {' | '.join(cell(found.get(load)) for load in loads)} |")
        print(f"| the best that can be | {' | '.join(f'{min(1, 1 / x):.0%}' for x in loads)} |")
    if any(not row["is_reliable"] for row in chosen):
        print("\n\\* The generator was late itself.")


def cell(row: Row | None) -> str:
    """A share; marked where the generator could not keep its schedule."""
    if row is None:
        return "-"
    return f"{row['goodput_share']:.1%}{'' if row['is_reliable'] else '*'}"


def print_pulses(rows: list[Row]) -> None:
    """How long it takes until all is well after an overload."""
    print("\nTwice the capacity for a while, then half of it: well again after\n")
    print("| model | system | seconds |\n| --- | --- | ---: |")
    for row in rows:
        if row["kind"] == "pulse":
            found = row["recovery_s"]
            print(f"| {row['model']} | {row['system']} | {'never' if found is None else found:} |")


def print_mixed(rows: list[Row]) -> None:
    """Two SLOs on one model."""
    print("\nHalf with an SLO of 50 ms, half with 250 ms, 1.2 times the capacity\n")
    print("| model | system | in time | 50 ms | 250 ms |\n| --- | --- | ---: | ---: | ---: |")
    for row in rows:
        if row["kind"] == "mixed":
            shares = " | ".join(f"{share:.1%}" for share in row["shares"].values())
            print(f"| {row['model']} | {row['system']} | {row['goodput_share']:.1%} | {shares} |")


def targets(rows: list[Row]) -> list[Row]:
    """What Clipper aims at with the sleeping model, and what came of it."""
    ours = [row for row in rows if (row["model"], row["system"]) == (AIMED_AT, OURS.name)]
    aims: list[Row] = []
    for kind, load, cv, wanted in AIMS:
        for row in ours:
            if (row["kind"], row.get("load"), row.get("cv")) == (kind, load, cv):
                name = f"{kind}, {load:g} times the capacity"
                aims.append({"name": name, "wanted": wanted, "got": row["goodput_share"]})
    return aims


def print_targets(aims: list[Row]) -> None:
    """Reached or not."""
    print(f"\nAims, model {AIMED_AT}\n\n| aim | wanted | got | |\n| --- | ---: | ---: | --- |")
    for aim in aims:
        reached = "reached" if aim["got"] >= aim["wanted"] else "**missed**"
        print(f"| {aim['name']} | {aim['wanted']:.0%} | {aim['got']:.1%} | {reached} |")

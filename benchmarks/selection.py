"""What does selection cost? A query with five linked models beside one with a single model.

All models are the same noop; inputs are unique. `single` asks one; `exp3` has five linked and asks
one; `exp4` asks all five and combines them. Each is asked in turn by wrk, and what counts is the
processor time of the daemon for one query, and the factor to `single`. Then each policy's `observe`
is timed in this process, with the state's encoding, the store left out.
"""

import argparse
import shutil
import sys
import timeit
from typing import Any

import msgspec
from daemon import Daemon, clipperd
from hot_path import over_rounds, wrk_daemon
from report import write_json
from table import markdown
from workers import process_s

from clipper.admin.client import ClipperConnection
from clipper.core.outputs import output_of
from clipper.core.types import ModelId
from clipper.selection.policies import POLICIES, make_policy
from clipper.selection.policy import Lesson

APPLICATIONS: dict[str, tuple[int, str]] = {
    "single": (1, "single"),
    "exp3": (5, "exp3"),
    "exp4": (5, "exp4"),
}
CONNECTIONS = (1, 32)
NEEDED: dict[str, dict[str, Any]] = {
    "canary": {"candidate": "m1"},
    "cascade": {"models": ["m0", "m1"], "thresholds": [0.5]},
}


def main() -> None:
    """Measure, print tables, write JSON."""
    parser = argparse.ArgumentParser(prog="make bench-selection", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="32 connections, a second each")
    options = parser.parse_args()
    if options.quick:
        options.rounds = options.seconds = 1
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    with clipperd() as daemon:
        deploy(daemon)
        rows = measure(daemon, CONNECTIONS[-1:] if options.quick else CONNECTIONS, options)
    lessons = [observe(name) for name in POLICIES if name != "single"]
    print_tables(rows, lessons)
    write_json("selection", {"rows": rows, "lessons": lessons})


def deploy(daemon: Daemon) -> None:
    """Five models, and an application for each policy."""
    connection = ClipperConnection(daemon.admin, daemon.query)
    most = max(count for count, _ in APPLICATIONS.values())
    for number in range(most):
        connection.deploy_model(f"m{number}", "1", "floats", "", framework="noop")
    for name, (count, policy) in APPLICATIONS.items():
        connection.register_application(name, "floats", "-1", 500_000, selection_policy=policy)
        for number in range(count):
            connection.link_model_to_app(name, f"m{number}")


def measure(
    daemon: Daemon, steps: tuple[int, ...], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One row for each application and number of connections: medians over the rounds."""
    for name in APPLICATIONS:
        wrk_daemon(daemon, "unique", 32, 1, name)
    rows = []
    for connections in steps:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in APPLICATIONS}
        for _ in range(options.rounds):
            for name in APPLICATIONS:
                before = process_s(daemon.process.pid)
                run = wrk_daemon(daemon, "unique", connections, options.seconds, name)
                used_s = process_s(daemon.process.pid) - before
                run["daemon_us"] = used_s * 1e6 / max(1.0, run["requests_per_s"] * options.seconds)
                runs[name].append(run)
        medians = {name: over_rounds(results) for name, results in runs.items()}
        rows += [
            {
                "application": name,
                "connections": connections,
                "factor": median["daemon_us"] / medians["single"]["daemon_us"],
                **median,
            }
            for name, median in medians.items()
        ]
    return rows


def observe(name: str) -> dict[str, Any]:
    """Microseconds for a lesson about five models, decoding and encoding the state included."""
    policy = make_policy(name, NEEDED.get(name, {}), "zero_one")
    models = tuple(ModelId(f"m{number}", "1") for number in range(5))
    state = policy.init()
    for number in range(50):
        state = policy.observe(state, models, lesson(policy, state, models, number))
    if policy.state_type is None:
        return {"policy": name, "observe_us": 0.0, "with_state_us": 0.0}
    taught = lesson(policy, state, models, 3)
    text = msgspec.json.encode(state)

    def through_the_store() -> None:
        before = msgspec.json.decode(text, type=policy.state_type)
        msgspec.json.encode(policy.observe(before, models, taught))

    return {
        "policy": name,
        "observe_us": _us(lambda: policy.observe(state, models, taught)),
        "with_state_us": _us(through_the_store),
    }


def lesson(policy: Any, state: Any, models: tuple[ModelId, ...], number: int) -> Lesson:
    """Each model says a label."""
    selection = policy.select(state, models, number % 7 / 7)
    asked = selection.models + selection.shadows
    outputs = {model: output_of((number + place) % 3) for place, model in enumerate(asked)}
    losses = {model: float(output.value != 0) for model, output in outputs.items()}
    return Lesson(selection, losses, outputs, 0)


def _us(work: Any) -> float:
    times = timeit.repeat(work, number=200, repeat=7)
    return min(times) / 200 * 1e6


def print_tables(rows: list[dict[str, Any]], lessons: list[dict[str, Any]]) -> None:
    """Both."""
    columns = ["application", "connections", "answers/s", "p50 ms", "daemon us a query", "factor"]
    cells = [
        [
            row["application"],
            str(row["connections"]),
            f"{row['requests_per_s']:,.0f}",
            f"{row['p50_ms']:.2f}",
            f"{row['daemon_us']:.1f}",
            f"{row['factor']:.2f}",
        ]
        for row in rows
    ]
    print(markdown(columns, cells))
    print(f"\nDefault answers: {sum(row['defaults'] for row in rows):.0f}.\n")
    cells = [
        [one["policy"], f"{one['observe_us']:.1f}", f"{one['with_state_us']:.1f}"]
        for one in lessons
    ]
    print(markdown(["policy", "observe, us", "with the state's JSON, us"], cells))


if __name__ == "__main__":
    main()

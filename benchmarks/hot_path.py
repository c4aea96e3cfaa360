"""How many predictions a second does the daemon answer, and how fast, beside a bare FastAPI route?

A noop model (the sum of eight floats) runs in a container process. Inputs are unique, so that the
cache misses; `cached` repeats one input. The bare route computes the same sum in its own process.
Both are asked in turn by wrk over keep-alive connections; the figures are medians over the rounds.
Default answers and errors are counted, over all rounds, and are no part of the throughput.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon import Daemon, await_http, clipperd, free_port
from report import write_json

from clipper.admin.client import ClipperConnection

HERE = Path(__file__).parent
CONNECTIONS = (1, 32, 128)
DEFAULTS = ("no_model", "late", "model_failed", "overloaded", "rejected")
SYSTEMS = ("bare FastAPI", "clipper", "clipper, cached")


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument(
        "--quick", action="store_true", help="128 connections, one round of a second"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    connections = CONNECTIONS[-1:] if options.quick else CONNECTIONS
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    with bare_route() as bare, clipperd() as daemon:
        idle_bytes = daemon.memory_bytes()
        deploy(daemon)
        rows = measure(bare, daemon, connections, options)
    print_table(rows, idle_bytes)
    figures = {"rounds": options.rounds, "seconds": options.seconds, "idle_bytes": idle_bytes}
    write_json("hot_path", {**figures, "rows": rows})


@contextmanager
def bare_route() -> Iterator[str]:
    """The bare route's URL."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(HERE / "bare.py"), str(port)])
    try:
        await_http(f"http://127.0.0.1:{port}/docs")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def deploy(daemon: Daemon) -> None:
    """A noop model, linked to an application with an SLO of 100 ms."""
    connection = ClipperConnection(daemon.admin, daemon.query)
    connection.register_application("sum", "floats", "-1.0", 100_000)
    connection.deploy_model("noop", "1", "floats", "", framework="noop")
    connection.link_model_to_app("sum", "noop")


def measure(
    bare: str, daemon: Daemon, steps: Sequence[int], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One row for each system and number of connections: medians over the rounds."""
    for url, script in ((bare, "unique"), (daemon.query, "unique"), (daemon.query, "same")):
        wrk(url, script, 32, 1)
    rows = []
    seconds = options.seconds
    for connections in steps:
        runs: dict[str, list[dict[str, float]]] = {system: [] for system in SYSTEMS}
        for _ in range(options.rounds):
            runs["bare FastAPI"].append(wrk(bare, "unique", connections, seconds))
            runs["clipper"].append(wrk_daemon(daemon, "unique", connections, seconds))
            runs["clipper, cached"].append(wrk_daemon(daemon, "same", connections, seconds))
        for system, results in runs.items():
            rows.append({"system": system, "connections": connections, **over_rounds(results)})
    return rows


def wrk(url: str, script: str, connections: int, seconds: int, *arguments: str) -> dict[str, float]:
    """One measurement: answers/s, p50 and p99 in ms of all requests, how many of them failed."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / f"{script}.lua")]
    command += [url, "--", *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(output.splitlines()[-1])
    return {
        "requests_per_s": (result["requests"] - result["errors"]) / result["duration_us"] * 1e6,
        "p50_ms": result["p50_us"] / 1e3,
        "p99_ms": result["p99_us"] / 1e3,
        "errors": result["errors"],
    }


def wrk_daemon(
    daemon: Daemon, script: str, connections: int, seconds: int, *arguments: str
) -> dict[str, float]:
    """A measurement of the daemon, with what it counted meanwhile; default answers are none."""
    before = counts(daemon)
    result = wrk(daemon.query, script, connections, seconds, *arguments)
    defaults, in_batches, batches = (b - a for a, b in zip(before, counts(daemon), strict=True))
    result["mean_batch"] = in_batches / batches if batches else 0.0
    result["defaults"] = defaults
    result["requests_per_s"] = max(result["requests_per_s"] - defaults / seconds, 0.0)
    return result


def over_rounds(results: Sequence[dict[str, float]]) -> dict[str, float]:
    """Medians; of what should not be there, the sum."""
    return {
        key: (sum if key in ("errors", "defaults") else statistics.median)(
            run[key] for run in results
        )
        for key in results[0]
    }


def counts(daemon: Daemon) -> tuple[float, float, float]:
    """Default answers, queries in batches, and batches, so far."""
    return (
        sum(daemon.counter("clipper_queries_total", outcome=outcome) for outcome in DEFAULTS),
        daemon.counter("clipper_model_batch_size_sum"),
        daemon.counter("clipper_model_batch_size_count"),
    )


def print_table(rows: list[dict[str, Any]], idle_bytes: int) -> None:
    """The figures, and the two ratios that matter."""
    print(
        f"{'system':18}{'conns':>6}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'batch':>7}{'default':>9}"
        f"{'error':>7}"
    )
    for row in rows:
        print(
            f"{row['system']:18}{row['connections']:6}{row['requests_per_s']:9.0f}"
            f"{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}{row.get('mean_batch', 0):7.1f}"
            f"{row.get('defaults', 0):9.0f}{row['errors']:7.0f}"
        )
    rate = {(row["system"], row["connections"]): row["requests_per_s"] for row in rows}
    factor = rate["clipper", 128] / rate["bare FastAPI", 128]
    print(f"At 128 connections: {factor:.1f} times the bare route.")
    print(f"Memory of the idle daemon: {idle_bytes / 2**20:.0f} MiB.")


if __name__ == "__main__":
    main()

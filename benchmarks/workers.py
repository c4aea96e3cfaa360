"""What do two worker processes answer, and what does one, on this machine?

The same noop model, inputs that miss the cache and one input that hits it, asked by `wrk -t1` over
keep-alive connections. Two daemons, with --workers 1 and --workers 2, are asked in turn, each with
a model process of its own; the one that is not asked is idle. Figures are medians over the rounds.
How busy each process was comes from the kernel: where all of them together fill the machine, there
is nothing left that another worker could use.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daemon import Daemon, clipperd
from hot_path import deploy, over_rounds, wrk, wrk_daemon
from report import write_json

WORKERS = (1, 2)
CONNECTIONS = (32, 128, 256)
LOADS = {"misses": "unique", "cached": "same"}
ROLES = ("main", "workers", "model")


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="make bench-workers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument(
        "--quick", action="store_true", help="128 connections, one round of a second"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    with clipperd("--workers", "1") as one, clipperd("--workers", "2") as two:
        daemons = dict(zip(WORKERS, (one, two), strict=True))
        for daemon in daemons.values():
            deploy(daemon)
            wrk(daemon.query, "unique", 32, 1)
            wrk(daemon.query, "same", 32, 1)
        rows = measure(daemons, (128,) if options.quick else CONNECTIONS, options)
    print_table(rows)
    write_json("workers", {"rounds": options.rounds, "seconds": options.seconds, "rows": rows})


def measure(
    daemons: dict[int, Daemon], steps: Sequence[int], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One row for each load, number of connections and number of workers."""
    rows = []
    for load, script in LOADS.items():
        for connections in steps:
            runs: dict[int, list[dict[str, float]]] = {workers: [] for workers in daemons}
            for _ in range(options.rounds):
                for workers, daemon in daemons.items():
                    runs[workers].append(ask(daemon, script, connections, options.seconds))
            for workers, results in runs.items():
                what = {"load": load, "connections": connections, "workers": workers}
                rows.append({**what, **over_rounds(results)})
    return rows


def ask(daemon: Daemon, script: str, connections: int, seconds: int) -> dict[str, float]:
    """One measurement, with the cores that each role kept busy."""
    before = cpu_s(daemon)
    load_before = os.times().children_user + os.times().children_system
    result = wrk_daemon(daemon, script, connections, seconds)
    after = cpu_s(daemon)
    busy = {f"{role}_cores": (after[role] - before[role]) / seconds for role in ROLES}
    load_s = os.times().children_user + os.times().children_system - load_before
    return {**result, **busy, "load_cores": load_s / seconds}


def cpu_s(daemon: Daemon) -> dict[str, float]:
    """Processor time of a daemon's processes so far, by role."""
    used = dict.fromkeys(ROLES, 0.0)
    used["main"] = process_s(daemon.process.pid)
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and parent(folder) == daemon.process.pid:
            command = (folder / "cmdline").read_bytes()
            role = "workers" if b"clipper.workers.worker" in command else "model"
            used[role] += process_s(int(folder.name))
    return used


def parent(folder: Path) -> int:
    """The process that started one; 0 where it has ended."""
    try:
        return int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def process_s(pid: int) -> float:
    """Processor time of one process."""
    words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def print_table(rows: list[dict[str, Any]]) -> None:
    """The figures, and how two workers compare with one."""
    print(
        f"{'load':8}{'conns':>6}{'workers':>8}{'req/s':>9}{'p50 ms':>8}{'p99 ms':>8}{'batch':>7}"
        f"{'default':>8}{'error':>6}  cores: {'main':>5}{'workers':>8}{'model':>6}{'wrk':>6}"
        f"{'factor':>8}"
    )
    alone = {(row["load"], row["connections"]): row for row in rows if row["workers"] == 1}
    for row in rows:
        factor = row["requests_per_s"] / alone[row["load"], row["connections"]]["requests_per_s"]
        print(
            f"{row['load']:8}{row['connections']:6}{row['workers']:8}{row['requests_per_s']:9.0f}"
            f"{row['p50_ms']:8.2f}{row['p99_ms']:8.2f}{row['mean_batch']:7.1f}"
            f"{row['defaults']:8.0f}{row['errors']:6.0f}         {row['main_cores']:5.2f}"
            f"{row['workers_cores']:8.2f}{row['model_cores']:6.2f}{row['load_cores']:6.2f}"
            f"{factor:8.2f}"
        )


if __name__ == "__main__":
    main()

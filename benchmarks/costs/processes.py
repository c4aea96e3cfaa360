"""Processor time of a query by process, in a running daemon under load.

`clipperd` with one noop container, asked by wrk over keep-alive connections; inputs are unique, so
that the cache misses, or always the same. The kernel accounts each process's time in its own code
and in system calls (`/proc/PID/stat`; of wrk, which ends, what its parent is told).
"""

import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon import Daemon, clipperd
from hot_path import DEFAULTS, deploy, wrk

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SCRIPTS = {"missed": "unique", "cached": "same"}


@dataclass(frozen=True, slots=True)
class Times:
    """Processor time in seconds."""

    user_s: float
    system_s: float

    def __sub__(self, other: "Times") -> "Times":
        return Times(self.user_s - other.user_s, self.system_s - other.system_s)


@dataclass(frozen=True, slots=True)
class Load:
    """What one kind of load cost, by process."""

    kind: str
    connections: int
    queries_per_s: float
    defaults: float
    """Queries that no model answered."""
    cpu_us: dict[str, float]
    """Of a query."""
    system_share: dict[str, float]
    """Of that, in system calls."""


def measure_loads(connections: Sequence[int], seconds: int) -> list[Load]:
    """Every kind of load over so many connections each."""
    with clipperd() as daemon:
        deploy(daemon)
        wrk(daemon.query, "unique", 32, 1)  # batches become as large as they may
        return [measure(daemon, kind, n, seconds) for kind in SCRIPTS for n in connections]


def measure(daemon: Daemon, kind: str, connections: int, seconds: int) -> Load:
    """One of them. Counters are read outside, so that reading them is not counted."""
    container = container_of(daemon.process.pid)
    asked, defaults = counts(daemon)
    before = snapshot(daemon.process.pid, container)
    rate = wrk(daemon.query, SCRIPTS[kind], connections, seconds)["requests_per_s"]
    after = snapshot(daemon.process.pid, container)
    queries, failed = (b - a for a, b in zip((asked, defaults), counts(daemon), strict=True))
    spent = {name: after[name] - before[name] for name in after}
    total_s = {name: times.user_s + times.system_s for name, times in spent.items()}
    return Load(
        kind=kind,
        connections=connections,
        queries_per_s=rate,
        defaults=failed,
        cpu_us={name: 1e6 * total_s[name] / queries for name in spent},
        system_share={
            name: times.system_s / total_s[name] if total_s[name] else 0.0
            for name, times in spent.items()
        },
    )


def counts(daemon: Daemon) -> tuple[float, float]:
    """Queries so far, and those of them that no model answered."""
    return (
        daemon.counter("clipper_queries_total"),
        sum(daemon.counter("clipper_queries_total", outcome=outcome) for outcome in DEFAULTS),
    )


def snapshot(daemon: int, container: int) -> dict[str, Times]:
    """What each process has used up so far."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "daemon": times_of(daemon),
        "container": times_of(container),
        "wrk": Times(ended.ru_utime, ended.ru_stime),
    }


def times_of(pid: int) -> Times:
    """A live process's times."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return Times(int(fields[11]) / TICKS_PER_S, int(fields[12]) / TICKS_PER_S)


def container_of(daemon: int) -> int:
    """The process of the daemon's one container."""
    for task in Path(f"/proc/{daemon}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            if b"clipper_container" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    raise SystemExit("the daemon has no container")

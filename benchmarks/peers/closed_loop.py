"""Requests a second and latencies in a closed loop: wrk with one thread and some connections."""

import itertools
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from peers.contest import Endpoint

LOAD = Path(__file__).parent / "load.lua"
runs = itertools.count(1)
"""Numbers of runs, so that no input of one run comes again in another."""


def closed_loop(
    endpoint: Endpoint, connections: int, seconds: int, repeats: bool = False
) -> dict[str, float]:
    """One measurement; `requests_per_s` are those that the model answered."""
    before = endpoint.defaults()
    result = wrk(endpoint, connections, seconds, repeats)
    defaults = endpoint.defaults() - before
    return {
        "requests_per_s": (result["answered"] - defaults) / result["duration_us"] * 1e6,
        "p50_ms": result["p50_us"] / 1e3,
        "p99_ms": result["p99_us"] / 1e3,
        "errors": result["errors"],
        "defaults": defaults,
    }


def wrk(endpoint: Endpoint, connections: int, seconds: int, repeats: bool) -> dict[str, Any]:
    """What the script printed at its end."""
    with tempfile.NamedTemporaryFile("w") as template:
        template.write(endpoint.payload.template)
        template.flush()
        load = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
        script = ["-s", str(LOAD), endpoint.url, "--", template.name, str(next(runs))]
        command = [*load, *script, "same" if repeats else "unique"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result

"""Figures as JSON, with what they were measured on, in `benchmarks/results/`."""

import datetime
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def write_json(benchmark: str, figures: dict[str, Any]) -> None:
    """One file for each benchmark; the newest run stays."""
    git = ["git", "-C", str(HERE), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    report = {
        "benchmark": benchmark,
        "commit": commit,
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
        },
        **figures,
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{benchmark}.json"
    file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"Written to {file.relative_to(HERE.parent)}.")

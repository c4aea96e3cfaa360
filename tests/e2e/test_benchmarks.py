"""Benchmarks run, so that none rots; their figures are nobody's business here."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fakes.needs import missing

ROOT = Path(__file__).parents[2]


def report_of(benchmark: str) -> Any:
    """What a quick run of a benchmark wrote."""
    if shutil.which("wrk") is None:
        missing("wrk", "it is not installed")
    command = [sys.executable, str(ROOT / "benchmarks" / f"{benchmark}.py"), "--quick"]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    return json.loads((ROOT / "benchmarks" / "results" / f"{benchmark}.json").read_text())


def test_the_hot_path_is_measured_without_default_answers() -> None:
    report = report_of("hot_path")
    rows = {row["system"]: row for row in report["rows"]}
    assert rows["clipper"]["requests_per_s"] > 0
    assert rows["clipper"]["mean_batch"] > 1
    assert rows["clipper"]["defaults"] == rows["clipper"]["errors"] == 0


def test_frames_are_measured_beside_json_without_default_answers() -> None:
    report = report_of("binary")
    assert len(report["rows"]) == 4
    for row in report["rows"]:
        assert row["requests_per_s"] > 0
        assert row["defaults"] == row["errors"] == 0

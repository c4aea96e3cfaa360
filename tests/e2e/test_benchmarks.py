"""Benchmarks run, so that none rots; their figures are nobody's business here."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.fakes.needs import missing

ROOT = Path(__file__).parents[2]


def test_the_hot_path_is_measured_without_default_answers() -> None:
    if shutil.which("wrk") is None:
        missing("wrk", "it is not installed")
    command = [sys.executable, str(ROOT / "benchmarks" / "hot_path.py"), "--quick"]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    report = json.loads((ROOT / "benchmarks" / "results" / "hot_path.json").read_text())
    rows = {row["system"]: row for row in report["rows"]}
    assert rows["clipper"]["requests_per_s"] > 0
    assert rows["clipper"]["mean_batch"] > 1
    assert rows["clipper"]["defaults"] == rows["clipper"]["errors"] == 0


def test_clipper_is_measured_side_by_side_with_whoever_is_asked_for() -> None:
    if shutil.which("wrk") is None:
        missing("wrk", "it is not installed")
    command = [sys.executable, str(ROOT / "benchmarks" / "side_by_side.py")]
    subprocess.run(
        [*command, "--quick", "--only", "clipper"], check=True, timeout=170, capture_output=True
    )
    results = ROOT / "benchmarks" / "results"
    report = json.loads((results / "side_by_side.json").read_text())
    rows = {row["system"]: row for row in report["rows"]}
    assert not report["failures"]
    assert rows["clipper"]["requests_per_s"] > 0
    assert rows["clipper, cached"]["requests_per_s"] > 0
    assert rows["clipper"]["defaults"] == rows["clipper"]["errors"] == 0
    assert report["goodput"][0]["rate"] > 0
    assert (results / "side_by_side.png").exists()

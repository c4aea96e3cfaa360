"""Benchmarks run, so that none rots; their figures are nobody's business here."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fakes.needs import missing

ROOT = Path(__file__).parents[2]


def report_of(benchmark: str, *flags: str) -> Any:
    """What a quick run of a benchmark wrote; what it said where it failed."""
    command = [sys.executable, str(ROOT / "benchmarks" / f"{benchmark}.py"), "--quick", *flags]
    done = subprocess.run(command, check=False, timeout=170, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((ROOT / "benchmarks" / "results" / f"{benchmark}.json").read_text())


def needs_wrk() -> None:
    if shutil.which("wrk") is None:
        missing("wrk", "it is not installed")


def test_the_hot_path_is_measured_without_default_answers() -> None:
    needs_wrk()
    rows = {row["system"]: row for row in report_of("hot_path")["rows"]}
    assert rows["clipper"]["requests_per_s"] > 0
    assert rows["clipper"]["mean_batch"] > 1
    assert rows["clipper"]["defaults"] == rows["clipper"]["errors"] == 0


def test_two_workers_are_measured_beside_one_without_default_answers() -> None:
    needs_wrk()
    rows = report_of("workers")["rows"]
    assert [(row["load"], row["workers"]) for row in rows] == [
        (load, workers) for load in ("misses", "cached") for workers in (1, 2)
    ]
    for row in rows:
        assert row["requests_per_s"] > 0
        assert row["defaults"] == row["errors"] == 0
        assert (row["workers_cores"] > 0.05) == (row["workers"] == 2), "who answers is busy"


def test_frames_are_measured_beside_json_without_default_answers() -> None:
    needs_wrk()
    report = report_of("binary")
    assert len(report["rows"]) == 4
    for row in report["rows"]:
        assert row["requests_per_s"] > 0
        assert row["defaults"] == row["errors"] == 0


def test_the_index_finds_most_of_what_is_near() -> None:
    rows = [row for row in report_of("approximate_index")["rows"] if row["system"] == "Clipper"]
    assert {row["metric"] for row in rows} == {"angular", "euclidean"}
    assert min(row["recall"] for row in rows) > 0.7
    assert all(row["add_us"] > 0 for row in rows)


def test_only_what_was_verified_agrees_with_the_model() -> None:
    rows = report_of("approximate_accuracy")["rows"]
    radius = min(row["angle"] for row in rows)
    near = [r for r in rows if r["stream"] == "noise 1%" and r["angle"] == radius]
    for metric in ("angular", "euclidean"):
        by_cache = {row["cache"]: row for row in near if row["metric"] == metric}
        assert by_cache["verified"]["hits"] >= by_cache["margin"]["hits"] > 0
        assert by_cache["margin"]["disagreed"] <= by_cache["verified"]["disagreed"] < 0.05
    largest = [r for r in rows if r["angle"] > radius and r["stream"] == "noise 1%"]
    disagreed = {(row["metric"], row["cache"]): row["disagreed"] for row in largest}
    assert disagreed["angular", "unverified"] > 10 * disagreed["angular", "verified"]


def test_hits_of_an_approximate_cache_are_timed_through_the_daemon() -> None:
    (row,) = report_of("approximate_latency")["rows"]
    assert row["queries"] == 200
    assert row["hits"] > 0.1
    assert row["hit_p50_ms"] > 0


def test_a_slow_replica_is_measured_in_turn_and_as_it_comes_and_goes() -> None:
    needs_wrk()
    report = report_of("tails")
    sound, in_turn = report["steady"]
    assert report["capacity_per_s"] > sound["offered_per_s"] > 0
    assert in_turn["case"] == "in turn"
    assert in_turn["shares"][0] < min(in_turn["shares"][1:])
    (line,) = report["timelines"]
    assert [event["what"] for event in line["events"]] == ["slow", "sound again"]
    assert all(0 <= one["share"] <= 1 for one in line["bins"])
    assert (ROOT / "benchmarks" / "results" / "tails.png").exists()


def test_overload_is_measured_with_older_rules_and_with_ours() -> None:
    needs_wrk()
    report = report_of("goodput")
    assert report["capacities"]["sleeping"] > 0
    rows = {(row["system"], row["kind"]): row for row in report["rows"]}
    systems = {system for system, _ in rows}
    assert len(systems) == 2
    for system in systems:
        assert rows[system, "load"]["offered"] > 0
        assert 0 <= rows[system, "load"]["goodput_share"] <= 1
        assert len(rows[system, "mixed"]["shares"]) == 2
        assert any(share is not None for share in rows[system, "pulse"]["shares"])
    assert (ROOT / "benchmarks" / "results" / "goodput.png").exists()


def test_batches_that_wait_are_measured_and_are_larger() -> None:
    needs_wrk()
    at_once, waiting = report_of("delayed_batching")["rows"]
    assert (at_once["wait_ms"], waiting["wait_ms"]) == (0, 2)
    assert waiting["bursts"]["mean_batch"] > at_once["bursts"]["mean_batch"]
    for row in (at_once, waiting):
        assert all(one["requests_per_s"] > 0 for one in row["closed"])
    assert (ROOT / "benchmarks" / "results" / "delayed_batching.png").exists()


def test_aimd_is_measured_beside_fixed_sizes_of_batches_for_a_network() -> None:
    needs_wrk()
    report = report_of("gpu")
    (fixed,) = report["curve"]
    assert fixed["size"] == 4
    assert fixed["mean_batch"] > 3
    assert fixed["requests_per_s"] > 0
    assert fixed["batch_p99_ms"] >= fixed["batch_ms"] > 0
    assert fixed["defaults"] == fixed["errors"] == 0
    (found,) = report["found"]
    assert found["requests_per_s"] > 0
    assert found["limits"][0] < max(found["limits"]), "it has looked for more"
    assert found["settled"] > 0
    assert (ROOT / "benchmarks" / "results" / "gpu.png").exists()


def test_clipper_is_measured_side_by_side_with_whoever_is_asked_for() -> None:
    needs_wrk()
    report = report_of("side_by_side", "--only", "clipper")
    rows = {row["system"]: row for row in report["rows"]}
    assert not report["failures"]
    assert rows["clipper"]["requests_per_s"] > 0
    assert rows["clipper, cached"]["requests_per_s"] > 0
    assert rows["clipper"]["defaults"] == rows["clipper"]["errors"] == 0
    assert report["goodput"][0]["rate"] > 0
    assert (ROOT / "benchmarks" / "results" / "side_by_side.png").exists()


def test_the_cost_of_a_query_is_told_by_stage_by_size_and_by_process() -> None:
    needs_wrk()
    command = [sys.executable, str(ROOT / "benchmarks" / "query_cost.py"), "--quick"]
    file = ROOT / "benchmarks" / "results" / "profile.json"
    file.unlink(missing_ok=True)
    done = subprocess.run(command, check=False, timeout=170, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr  # 1: something grows, on a busy machine maybe
    assert file.exists(), done.stderr
    report = json.loads(file.read_text())
    for row in report["stages"]:
        assert {"read", "parse", "decode", "RPC", "write"} <= row["stages_us"].keys()
        assert row["whole_us"] > 0
        assert row["unexplained"] < 1
        assert (row["batch"] == 0) is row["is_cached"]
    whole = [row for row in report["growth"] if row["cost_of"] == "query"]
    assert len({row["size_of"] for row in whole}) == len(whole) > 9
    refused = [row for row in report["growth"] if not row["is_allowed"]]
    assert done.returncode == bool(refused)
    for row in report["processes"]:
        assert row["cpu_us"]["daemon"] > 0
        assert row["defaults"] == 0
    assert "| whole |" in done.stdout


def test_what_selection_costs_is_measured_beside_a_single_model() -> None:
    needs_wrk()
    report = report_of("selection")
    rows = {row["application"]: row for row in report["rows"]}
    assert set(rows) == {"single", "exp3", "exp4"}
    for row in rows.values():
        assert row["requests_per_s"] > 0
        assert row["defaults"] == row["errors"] == 0
    assert rows["exp4"]["daemon_us"] > rows["single"]["daemon_us"] > 0
    assert all(one["observe_us"] > 0 for one in report["lessons"] if one["policy"] == "exp4")


def test_the_papers_figures_are_run_again() -> None:
    needs_wrk()
    names = [path.stem for path in (ROOT / "benchmarks" / "paper").glob("*.py")]
    parts = {"__init__", "asking", "figure", "subjects"}
    assert len(set(names) - parts) == 10
    command = [sys.executable, str(ROOT / "benchmarks" / "reproduce.py"), "--quick"]
    done = subprocess.run(command, check=False, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in set(names) - parts:
        report = json.loads((ROOT / "benchmarks" / "results" / f"paper_{name}.json").read_text())
        assert report["rows"]
        assert all(row["ours"] for row in report["rows"])
        assert report["words"]
    failure = json.loads((ROOT / "benchmarks" / "results" / "paper_failure.json").read_text())
    means = failure["data"]["means"]
    assert means["exp4"][3] < means["static"][3]

"""What is said about a comparison."""

from pathlib import Path

import pytest
from peers.comparison import noted
from peers.contest import Contestant, DidNotStart
from peers.goodput import Goodput
from peers.plot import plot
from peers.results import GoodputRow, Results
from peers.tables import print_failures, print_goodputs, print_rows, print_targets
from peers.targets import targets


def nobody(model: str, slo_s: float) -> None:
    raise AssertionError("nobody is started here")


def contestant(system: str, setting: str = "") -> Contestant:
    return Contestant(system, setting, True, nobody)  # type: ignore[arg-type]


def figures(rate: float, p50_ms: float = 1.0) -> dict[str, float]:
    return {"requests_per_s": rate, "p50_ms": p50_ms, "p99_ms": 9.0, "errors": 0, "defaults": 1}


@pytest.fixture
def results() -> Results:
    """Ours twice as fast as a peer at its better setting, but for one connection."""
    results = Results()
    for connections, rate, p50_ms in ((1, 100.0, 0.5), (128, 2000.0, 1.0)):
        for noise in (0, 50, -50):
            results.add("noop", contestant("clipper"), connections, figures(rate + noise, p50_ms))
            results.add("noop", contestant("mosec", "slow"), connections, figures(10, 9.0))
            results.add("noop", contestant("mosec", "quick"), connections, figures(1000, 0.25))
    for system, rate in (("clipper", 900.0), ("mosec", 1000.0)):
        found = Goodput(rate, [], is_reliable=system == "clipper")
        results.goodputs.append(GoodputRow("noop", system, "", True, 0.02, found))
    return results


def test_medians_are_of_rates_and_sums_are_of_what_should_not_be(results: Results) -> None:
    row = results.of("noop", 128)[0]
    assert row.medians["requests_per_s"] == 2000
    assert row.medians["defaults"] == 3


def test_ours_is_compared_with_the_better_setting_of_a_peer(results: Results) -> None:
    found = {target.name: target for target in targets(results)}
    rate = found["noop, 128 connections: requests/s over those of the best peer"]
    assert (rate.got, rate.is_reached, rate.against) == (2.0, True, "mosec (quick)")
    p50 = found["noop, 1 connection: p50 over that of the best peer"]
    assert (p50.got, p50.is_reached) == (2.0, False)


def test_targets_without_figures_are_left_out(results: Results) -> None:
    names = " ".join(target.name for target in targets(results))
    assert "sleeping" not in names
    assert "triton" not in names
    assert targets(Results()) == []


def test_the_tables_say_what_was_missed_and_what_is_in_doubt(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    print_rows("noop", results)
    print_goodputs("noop", results)
    print_targets(targets(results))
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("mosec (quick)") and line.endswith("2.00x") for line in lines)
    assert any("1000  (the generator was late itself" in line for line in lines)
    assert any(line.startswith("NOT reached   0.90, at least 1.00: noop, within") for line in lines)


def test_who_does_not_start_is_named_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    results = Results()
    with noted(results, "noop", contestant("ray", "no wait")):
        raise DidNotStart("it ended with 1: no such file")
    print_failures(results)
    assert "NOT MEASURED: noop: ray (no wait): it ended with 1" in capsys.readouterr().out


def test_the_picture_is_drawn(results: Results, tmp_path: Path) -> None:
    plot(results, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")

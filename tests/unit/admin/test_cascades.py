"""Fitting a cascade: what models cost and how right they are, and what becomes of the finding."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import Result

Fit = Callable[..., Result]
COUNT = 1500


def guesses(value: list[float]) -> list[float]:
    """Sure of the sign where the number is large, and right then; else the wrong one, unsure."""
    (x,) = value
    second = (0.99 if abs(x) > 1 else 0.45) if x > 0 else (0.01 if abs(x) > 1 else 0.55)
    return [1 - second, second]


def knows(value: list[float]) -> list[float]:
    return [0.02, 0.98] if value[0] > 0 else [0.98, 0.02]


@pytest.fixture
def fit(run: Any, daemon: Any, tmp_path: Path) -> Fit:
    """`app fit-cascade` for an application with a cheap and a dear model."""
    daemon.says = {"cheap": guesses, "dear": knows}
    daemon.latencies = {
        "cheap": {"fixed_ms": 0.4, "per_query_ms": 0.1, "p99_factor": 1.1},
        "dear": {"fixed_ms": 4.0, "per_query_ms": 1.0, "p99_factor": 1.1},
    }
    for name in ("cheap", "dear"):
        run("model", "deploy", name, "1", "--framework", "noop")

    def fit(
        *options: str,
        count: int = COUNT,
        loss: str = "zero_one",
        labels: str = "{}",
        label: Callable[[float], Any] = lambda x: int(x > 0),
    ) -> Result:
        if "signs" not in daemon.apps:
            create = ("--input-type", "floats", "--loss", loss, "--labels", labels)
            run("app", "create", "signs", *create, "--policy", "exp4")
            for name in ("cheap", "dear"):
                run("app", "link", "signs", name)
        random = Random(1)
        numbers = [random.gauss(0, 2) for _ in range(count)]
        rows = [json.dumps({"input": [x], "label": label(x)}) for x in numbers]
        file = tmp_path / "held-out.jsonl"
        file.write_text("\n".join(rows))
        daemon.requests.clear()
        result: Result = run("app", "fit-cascade", "signs", "--data", str(file), *options)
        assert list(daemon.apps) == ["signs"], "nothing is left behind"
        return result

    return fit


def found(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


@pytest.mark.parametrize("count", [40, 64, COUNT])
def test_a_query_costs_what_replicas_need_for_one_alone_however_often_one_asks(
    fit: Fit, count: int
) -> None:
    for _ in range(2):
        answer = found(fit("--json", count=count))
        assert answer["models"] == ["cheap", "dear"]
        assert [one["cost"] for one in answer["alone"]] == pytest.approx([0.0005, 0.005])
        assert "one query alone" in answer["cost_is"]
    shown = fit(count=count)
    assert "one query alone" in shown.stderr
    assert "5.000" in shown.stdout


def test_where_no_replica_knows_what_a_model_costs_there_is_no_guess(fit: Fit, daemon: Any) -> None:
    daemon.latencies["dear"] = None
    result = fit()
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "dear:1" in result.stderr
    assert "was never asked" in result.stderr


def test_a_cascade_is_applied_where_that_is_asked_for(fit: Fit, daemon: Any) -> None:
    answer = found(fit("--json", "--tolerance", "0.01"))
    assert daemon.apps["signs"]["selection_policy"] == {"name": "exp4"}
    result = fit("--apply", "--tolerance", "0.01")
    assert "has this cascade now" in result.stderr
    policy = daemon.apps["signs"]["selection_policy"]
    assert policy == answer["policy"]
    assert (policy["models"], len(policy["thresholds"])) == (["cheap", "dear"], 1)
    assert policy["tolerance"] == pytest.approx(0.01, abs=0.001)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_where_no_cascade_is_worth_it_nothing_is_applied(
    fit: Fit, daemon: Any, more: tuple[str, ...]
) -> None:
    daemon.latencies["cheap"] = {"fixed_ms": 9.0, "per_query_ms": 1.0, "p99_factor": 1.1}
    result = fit("--apply", *more)
    assert result.exit_code == 0
    assert "Nothing was applied" in result.stderr
    assert daemon.apps["signs"]["selection_policy"] == {"name": "exp4"}
    assert not [request for request in daemon.requests if request.method == "PATCH"]


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_where_the_cheap_model_alone_is_good_enough_there_is_no_cascade(
    fit: Fit, daemon: Any, more: tuple[str, ...]
) -> None:
    daemon.says["cheap"] = lambda value: knows([value[0] - 0.1])
    result = fit("--apply", "--tolerance", "0.05", *more)
    assert result.exit_code == 0
    assert "Nothing was applied" in result.stderr
    assert daemon.apps["signs"]["selection_policy"] == {"name": "exp4"}
    if more:
        answer = found(result)
        assert (answer["found"]["levels"], answer["policy"]) == ([0], None)
    else:
        no_cascade = "No cascade: cheap alone is within the tolerance of the best, dear."
        assert no_cascade in result.stderr
        assert "costs 10.0 times less" in result.stderr


def test_the_cheapest_that_is_right_as_often_as_any_is_the_best(fit: Fit, daemon: Any) -> None:
    daemon.says["cheap"] = knows
    best = "No cascade: cheap alone is the best choice. It is the cheapest, and none is right more"
    assert best in fit().stderr


def test_what_the_tolerance_of_the_policy_is_is_said(fit: Fit) -> None:
    shown = fit("--tolerance", "0.01").stderr
    assert "Its own tolerance is the mean loss on the examples, 0, plus what was allowed" in shown


@pytest.mark.parametrize("tolerance", ["-0.1", "1.5", "nan"])
def test_a_tolerance_is_a_share(fit: Fit, daemon: Any, tolerance: str) -> None:
    result = fit("--tolerance", tolerance)
    assert result.exit_code == 2
    assert f"--tolerance {tolerance} is out of range" in result.stderr
    assert "from 0 to 1" in result.stderr
    assert daemon.requests == []


def test_help_says_that_apply_does_not_ask_and_when_it_does_nothing(run: Any) -> None:
    shown = " ".join(run("app", "fit-cascade", "--help", env={"COLUMNS": "300"}).stdout.split())
    assert "without asking; nothing is applied where one model alone is best" in shown


def test_one_probability_is_no_label_to_the_loss_that_will_judge_it(fit: Fit, daemon: Any) -> None:
    daemon.says = {name: lambda value: 0.93 if value[0] > 0 else 0.07 for name in daemon.says}
    result = fit("--apply")
    assert result.exit_code == 1
    assert "zero_one" in result.stderr
    assert "one probability for each class" in result.stderr
    assert daemon.apps["signs"]["selection_policy"] == {"name": "exp4"}


@pytest.mark.parametrize("loss", ["absolute", "squared", "log"])
def test_to_a_loss_that_takes_it_one_probability_may_be_right(
    fit: Fit, daemon: Any, loss: str
) -> None:
    daemon.says = {
        name: lambda value, says=says: says(value)[1] for name, says in daemon.says.items()
    }
    answer = found(fit("--json", "--tolerance", "0.01", loss=loss))
    cheap, dear = answer["alone"]
    assert (cheap["accuracy"], dear["accuracy"]) == (pytest.approx(0.6, abs=0.05), 1.0)
    assert 0 < dear["loss"] < 0.03
    assert answer["policy"]["tolerance"] == pytest.approx(answer["found"]["loss"] + 0.01)


def test_what_labels_mean_the_application_says(fit: Fit) -> None:
    names = {0: "minus", 1: "plus"}
    answer = found(
        fit("--json", labels='{"minus": 0, "plus": 1}', label=lambda x: names[int(x > 0)])
    )
    assert answer["alone"][1]["accuracy"] == 1.0


def test_an_output_that_cannot_be_judged_is_wrong_and_such_a_label_is_refused(
    fit: Fit, daemon: Any
) -> None:
    daemon.says["cheap"] = lambda value: "cat"
    answer = found(fit("--json", loss="log"))
    assert sorted(one["accuracy"] for one in answer["alone"]) == [0.0, 1.0]
    result = fit(label=lambda x: "plus")
    assert result.exit_code == 2
    assert "Example 1" in result.stderr
    assert "plus" in result.stderr


@pytest.mark.parametrize(
    ("options", "loss", "what"), [(("--score", "luck"), "zero_one", "luck"), ((), "given", "given")]
)
def test_what_cannot_be_fitted_is_refused_before_any_model_is_asked(
    fit: Fit, daemon: Any, options: tuple[str, ...], loss: str, what: str
) -> None:
    result = fit(*options, loss=loss)
    assert result.exit_code == 2
    assert what in result.stderr
    assert all(request.method == "GET" for request in daemon.requests)


def test_a_file_without_examples_is_refused(run: Any, fit: Fit, tmp_path: Path) -> None:
    fit()
    file = tmp_path / "other.jsonl"
    for text, what in (("", "no examples"), ('{"input": 1}', "Line 1"), ("\n{", "Line 2")):
        file.write_text(text)
        result = run("app", "fit-cascade", "signs", "--data", str(file))
        assert result.exit_code == 2
        assert what in result.stderr

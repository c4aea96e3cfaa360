"""`clipper-admin replay`, on files as the daemon writes them."""

import json
from pathlib import Path
from typing import Any

import pytest


def lesson(**fields: Any) -> dict[str, Any]:
    """A line, on one of two models."""
    line = {
        "kind": "lesson",
        "time": 0.0,
        "app": "a",
        "context": "0",
        "query_id": 1,
        "policy": {"name": "exp3"},
        "loss": "zero_one",
        "linked": ["m:1", "n:1"],
        "asked": ["m:1"],
        "shadows": [],
        "propensity": 1.0,
        "outputs": {"m:1": 0.6},
        "label": 1,
        "losses": {"m:1": 1.0},
    }
    return line | fields


ROLLED_BACK = {
    "kind": "traffic",
    "time": 0.0,
    "app": "a",
    "policy": {"name": "canary", "candidate": "n"},
    "loss": "zero_one",
    "linked": ["m:1", "n:1"],
    "counts": {
        "m:1": {"asked": 500, "failed": 0, "latency": 1.0, "square": 0.1},
        "n:1": {"asked": 500, "failed": 500, "latency": 0.0, "square": 0.0},
    },
    "verdict": "rolled back",
}
SINGLE = ("--policy", "single")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "decisions.jsonl"


def write(file: Path, *lines: dict[str, Any]) -> None:
    file.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))


def replayed(run: Any, file: Path, *options: str) -> dict[str, Any]:
    result = run("replay", str(file), *options, "--json")
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)
    assert isinstance(row, dict)
    return row


@pytest.mark.parametrize(("options", "loss"), [((), 1.0), (("--loss", "squared"), 0.16)])
def test_decisions_are_judged_by_the_loss_that_is_asked_for(
    run: Any, file: Path, options: tuple[str, ...], loss: float
) -> None:
    write(file, lesson())
    assert replayed(run, file, *SINGLE, *options)["loss"] == pytest.approx(loss)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--policy", "exp3", "--loss", "hinge"), "no loss 'hinge'"),
        (("--policy", "exp4", "--loss", "hinge"), "no loss 'hinge'"),
        (("--policy", "exp9"), "no selection policy 'exp9'"),
        (("--policy", "exp4"), "no decision that this policy would have taken"),
        ((*SINGLE, "--loss", "log"), "no class"),
        (("--policy", '["exp3"]'), '["exp3"] is no selection policy'),
        (("--policy", '{"eta": 0.1}'), 'a JSON object with "name"'),
        (("--policy", "mine:Last"), "Next:  Add --policies-dir FOLDER to this command."),
        ((*SINGLE, "--policy", "exp9"), "no selection policy 'exp9'"),
        (("--policy", "exp4", "--policy", "majority"), "exp4 cannot be judged: The log has no"),
        (("--policy", "exp4", "--policy", "majority"), "majority cannot be judged: The log has no"),
        ((*SINGLE, "--app", "nope"), "Next:  It has those of a."),
    ],
)
def test_what_cannot_be_replayed_is_wrong_usage(
    run: Any, file: Path, options: tuple[str, ...], says: str
) -> None:
    write(file, lesson(label="cat" if "log" in options else 1))
    result = run("replay", str(file), *options)
    assert result.exit_code == 2
    assert says in result.stderr
    if "hinge" in options:
        assert "zero_one, absolute, squared, log, given" in result.stderr


def test_a_policy_that_cannot_be_judged_has_the_reason_in_its_row(run: Any, file: Path) -> None:
    write(file, lesson())
    options = ("--policy", "exp4", *SINGLE)
    result = run("replay", str(file), *options)
    assert result.exit_code == 0
    _, exp4, single = result.stdout.splitlines()
    reason = "The log has no decision that this policy would have taken."
    assert exp4.rstrip().endswith(f"cannot be judged: {reason}")
    assert single.split()[:2] == ["single", "1.0000"]
    assert "Next: Replay a log of exp3" in result.stderr
    exp4, single = json.loads(run("replay", str(file), *options, "--json").stdout)
    assert exp4.keys() == single.keys()
    assert (exp4["loss"], exp4["interval"], exp4["decisions"]) == (None, None, 1)
    assert (exp4["error"], single["error"]) == (reason, "")


def test_an_application_that_is_not_in_the_log_is_told_who_is(run: Any, file: Path) -> None:
    write(file, ROLLED_BACK | {"app": "c"}, lesson(app="b"), lesson())
    result = run("replay", str(file), *SINGLE, "--app", "nope")
    assert result.exit_code == 2
    assert f"{file} has no decisions of nope." in result.stderr
    assert "It has those of a, b." in result.stderr


def test_a_doubtful_answer_says_why(run: Any, file: Path) -> None:
    write(file, lesson())
    assert "doubtful: the log tells of 1 decisions only" in run("replay", str(file), *SINGLE).stdout


def test_traffic_is_told_to_a_policy_that_watches(run: Any, file: Path) -> None:
    outputs, losses = {"m:1": 0, "n:1": 1}, {"m:1": 1.0, "n:1": 0.0}
    by = {"name": "majority"}
    lessons = [lesson(outputs=outputs, losses=losses, asked=["m:1", "n:1"], policy=by)] * 100
    policy = '{"name": "canary", "candidate": "n", "share": 0.5}'
    write(file, *lessons)
    assert replayed(run, file, "--policy", policy)["loss"] < 1
    write(file, ROLLED_BACK, *lessons)
    assert replayed(run, file, "--policy", policy)["loss"] == 1
    assert replayed(run, file, *SINGLE)["decisions"] == 100


def test_only_a_line_feed_ends_a_line(run: Any, file: Path) -> None:
    write(file, lesson(label="a\u2028b"))
    assert replayed(run, file, *SINGLE)["decisions"] == 1


def test_what_was_renamed_to_make_room_is_read_first(run: Any, file: Path) -> None:
    older = file.with_name("decisions.jsonl.1")
    write(older, ROLLED_BACK, lesson())
    write(file, lesson(loss="squared"))
    result = run("replay", str(file), *SINGLE, "--json")
    (row,) = json.loads(result.stdout)
    assert (row["decisions"], row["loss"]) == (2, pytest.approx(0.16)), "the loss of the newer one"
    assert f"begins in {older}" in result.stderr
    older.unlink()
    assert "begins in" not in run("replay", str(file), *SINGLE).stderr


def test_a_line_that_is_none_is_named_with_its_file(run: Any, file: Path) -> None:
    older = file.with_name("decisions.jsonl.1")
    write(older, lesson(asked=[]))
    write(file, lesson())
    assert f"Line 1 of {older} is no decision" in run("replay", str(file), *SINGLE).stderr


@pytest.mark.parametrize("fields", [{"asked": []}, {"propensity": 0}, {"losses": None}])
def test_a_line_that_is_none_is_named(run: Any, file: Path, fields: dict[str, Any]) -> None:
    write(file, lesson(), lesson(**fields))
    result = run("replay", str(file), *SINGLE)
    assert result.exit_code == 2
    assert f"Line 2 of {file} is no decision" in result.stderr


def test_a_log_of_traffic_alone_has_no_decisions(run: Any, file: Path) -> None:
    write(file, ROLLED_BACK)
    assert "no decisions" in run("replay", str(file), *SINGLE).stderr

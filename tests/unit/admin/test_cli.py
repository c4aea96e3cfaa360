"""clipper-admin in this process, against a daemon in a dict: output, questions, exit codes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes.frames import frame

CREATE = ("app", "create", "digits", "--input-type", "floats", "--slo-ms", "20")
DEPLOY = ("model", "deploy", "m", "1", "--framework", "noop")


def test_three_steps_serve_a_model(run: Any, daemon: Any) -> None:
    assert run(*CREATE, "--default-output", "-1", "--policy", "single").exit_code == 0
    assert run(*DEPLOY, "--input-type", "floats", "--replicas", "2").exit_code == 0
    assert run("app", "link", "digits", "m").exit_code == 0
    result = run("query", "digits", "[1, 2]")
    assert result.exit_code == 0
    assert result.stdout == "3\n"
    assert "query_id 7" in result.stderr
    assert daemon.apps["digits"]["latency_slo_micros"] == 20_000


@pytest.mark.parametrize(
    "arguments",
    [
        ("app", "list"),
        ("app", "show", "digits"),
        ("app", "show", "digits", "--context", "0"),
        ("app", "selection", "digits"),
        ("model", "list"),
        ("model", "show", "m"),
        ("model", "show", "m", "1"),
        ("model", "logs", "m", "1"),
        ("model", "scale", "m", "1", "2"),
        ("model", "set-version", "m", "1"),
        ("query", "digits", "[1]"),
        ("query", "digits", "[[1], [2]]", "--batch"),
        ("feedback", "digits", "--input", "[1]", "--label", "1"),
        ("status",),
        ("doctor",),
        ("app", "create", "other", "--input-type", "floats"),
        ("model", "deploy", "m", "2", "--framework", "noop"),
    ],
    ids=" ".join,
)
def test_json_is_all_there_is_on_stdout(run: Any, arguments: tuple[str, ...]) -> None:
    run(*CREATE)
    run(*DEPLOY)
    run("app", "link", "digits", "m")
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    json.loads(result.stdout)
    plain = run(*arguments)
    assert plain.exit_code in (0, 1)  # 1: it exists by now


def test_what_was_listed_can_be_read_by_people(run: Any, daemon: Any) -> None:
    run(*CREATE, "--default-output", "[red]")
    run(*DEPLOY)
    run("app", "link", "digits", "m")
    listing = run("app", "list").stdout.splitlines()
    assert " ".join(listing[0].split()) == "NAME INPUT SLO MS POLICY MODELS DEFAULT OUTPUT"
    assert listing[1].split() == ["digits", "floats", "20", "single", "m", "[red]"]
    assert run("model", "list").stdout.splitlines()[1].split() == [
        *("m", "1", "yes", "floats", "noop", "process", "1/1")
    ]
    assert "learned for 0" in run("app", "show", "digits", "--context", "0").stdout
    assert "pid 4711" in run("model", "show", "m", "1").stdout
    assert "1 h 2 min" in run("status").stdout
    daemon.logs = ["[bold]loading", "ready"]
    assert run("model", "logs", "m", "1").stdout == "[bold]loading\nready\n"


HOSTILE = "a\x1b]52;c;aGk=\x07\x9b2J\r[b]"
HARMLESS = r"a\x1b]52;c;aGk=\x07\x9b2J\r[b]"


def test_texts_of_models_do_not_steer_the_terminal(run: Any, daemon: Any) -> None:
    run(*CREATE)
    run(*DEPLOY)
    run("app", "link", "digits", "m")
    daemon.models["m", "1"]["description"] = {"model": f"{HOSTILE}\nready  5 of 5"}
    daemon.last_exit = f"{HOSTILE}\n\tas the log says"
    shown = run("model", "show", "m", "1").stdout
    assert rf"{HARMLESS}\nready  5 of 5" in shown
    assert f"{HARMLESS}\n" in shown  # a log has lines
    daemon.logs = [f"{HOSTILE}\tx"]
    assert run("model", "logs", "m", "1").stdout == f"{HARMLESS}\tx\n"
    daemon.says["m"] = lambda _: HOSTILE
    answered = run("query", "digits", "[1]").stdout
    assert json.loads(answered) == HOSTILE
    assert answered.strip().isprintable()
    daemon.deploy_error = f"m:2 ended:\n{HOSTILE}"
    refused = run("model", "deploy", "m", "2", "--framework", "noop").stderr
    assert f"Error: m:2 ended:\n{HARMLESS}\n" in refused
    daemon.status = {"troubles": [HOSTILE]}
    for command in ("doctor", "status"):
        assert "\x1b" not in run(command).output


def standing(model: str, loss: float | None, **more: Any) -> dict[str, Any]:
    known = {"judged": 50, "loss_low": 0.0, "loss_high": 1.0, "is_worse": False}
    return {"model": model, "share": 0.5, "answers": 50, "loss": loss} | known | more


def mean(model: str, value: float | None) -> dict[str, Any]:
    return {"model": model, "seen": 50, "mean": value, "low": 0.01, "high": 0.99}


def compared(what: str, new: float | None, old: float | None, low: float, high: float) -> Any:
    return {
        "what": what,
        "candidate": mean("m:2", new),
        "incumbent": mean("m:1", old),
        "difference_low": low,
        "difference_high": high,
        "is_significant": low > 0 or high < 0,
        "allowed": 0.05,
    }


def test_an_open_trial_says_what_is_compared_and_which_difference_is_significant(
    run: Any, daemon: Any
) -> None:
    run(*CREATE)
    daemon.selection = {
        "policy": "canary",
        "models": [standing("m:1", 0.1), standing("m:2", 0.2)],
        "comparisons": [
            compared("loss", 0.2, 0.1, -0.05, 0.25),
            compared("share of failures", None, 0.0, -1, 1),
            compared("latency (of the SLO)", 0.9, 0.4, 0.3, 0.7),
        ],
    }
    result = run("app", "selection", "digits")
    *_, header, loss, failures, latency = result.stdout.splitlines()
    assert header.split() == ["COMPARED", "m:2", "m:1", "DIFFERENCE", "ALLOWED"]
    assert "0.2000 (0.0100 to 0.9900)" in loss
    assert "-0.0500 to +0.2500" in loss
    assert loss.rstrip().endswith("no significant difference")
    assert failures.rstrip().endswith("not known yet")
    assert latency.rstrip().endswith("significantly higher")
    finding = (
        "The trial of m:2 against m:1 is open: its latency (of the SLO) is significantly higher."
    )
    assert finding in result.stderr
    daemon.selection["comparisons"].pop()
    assert "no difference is significant yet" in run("app", "selection", "digits").stderr
    shown = json.loads(run("app", "selection", "digits", "--json").stdout)
    assert shown["comparisons"] == daemon.selection["comparisons"]


WORSE = "its loss is higher by 0.1 to 0.3"
AS_GOOD = "after 300 queries it is as good as m:1"


@pytest.mark.parametrize(
    ("verdict", "reason", "incumbent", "candidate", "steps"),
    [
        (
            *("promoted", AS_GOOD, "m:1", "m:2"),
            ["model set-version m 2", "app set-policy digits single"],
        ),
        (
            *("rolled back", WORSE, "m:1", "m:2"),
            ["app set-policy digits single", "model delete m 2"],
        ),
        (
            *("promoted", AS_GOOD, "m:1", "n:3"),
            ["model set-version n 3", "app unlink digits m", "app set-policy digits single"],
        ),
        (
            *("rolled back", WORSE, "m:1", "n:3"),
            ["app unlink digits n", "app set-policy digits single", "model delete n 3"],
        ),
    ],
)
def test_a_trial_that_is_over_says_what_to_do(
    run: Any, daemon: Any, verdict: str, reason: str, incumbent: str, candidate: str, steps: Any
) -> None:
    run(*CREATE)
    daemon.selection = {
        "policy": "canary",
        "models": [standing(incumbent, 0.1), standing(candidate, 0.2)],
        "comparisons": [compared("loss", 0.2, 0.1, -0.05, 0.25)],
        "verdict": verdict,
        "reason": reason,
        "state": {"candidate": candidate},
    }
    shown = run("app", "selection", "digits").stderr
    assert f"The trial is over: {verdict}, as {reason}.\nNext: clipper-admin {steps[0]}\n" in shown
    told = [line.partition("clipper-admin ")[2] for line in shown.splitlines()[1:]]
    assert told == steps


CASCADE = {"policy": "cascade", "state": {"about": '{"thresholds": [0.3]}'}}


@pytest.mark.parametrize(
    ("learned", "finding"),
    [
        (
            {"policy": "ab", "models": [standing("m:1", 0.1), standing("m:2", 0.2)]},
            "m:1 leads, but the difference is not significant yet.",
        ),
        (
            {
                "policy": "ab",
                "models": [standing("m:1", 0.1), standing("m:2", 0.4, is_worse=True)],
            },
            "m:1 is the best: the difference is significant.",
        ),
        (
            {"policy": "ab", "models": [standing("m:1", None, judged=0)]},
            "No feedback has come yet.\nNext: clipper-admin feedback digits",
        ),
        (
            {"policy": "exp3", "models": [standing("m:1", None, judged=0)]},
            "No feedback has come yet for context 0 (--context names another).",
        ),
        (
            {"policy": "majority", "models": [standing("m:1", None, judged=0)], "state": None},
            "majority learns nothing from feedback.",
        ),
        (
            CASCADE | {"models": [standing("m:1", 0.1), standing("n:1", 0.2)]},
            "The cascade is on.",
        ),
        (
            CASCADE | {"models": [standing("m:1", 0.1)], "reason": "it was wrong"},
            "The cascade asks its last model always: it was wrong.",
        ),
        (
            CASCADE | {"models": [standing("m:1", None, judged=0)]},
            "No feedback has come yet.",
        ),
        (
            CASCADE | {"models": [standing("m:1", 0.1)], "state": {"about": '{"thresholds": []}'}},
            "The cascade has no thresholds, so that its last model answers all.\n"
            "Next: find some: clipper-admin app fit-cascade digits --data FILE",
        ),
    ],
)
def test_what_may_be_concluded_is_said_in_words(
    run: Any, daemon: Any, learned: dict[str, Any], finding: str
) -> None:
    run(*CREATE)
    daemon.selection = learned
    assert finding in run("app", "selection", "digits").stderr


def test_help_says_what_the_columns_are(run: Any) -> None:
    shown = " ".join(run("app", "selection", "--help", env={"COLUMNS": "300"}).stdout.split())
    for column in ("SHARE is a model's chance", "ANSWERS, of the answers", "JUDGED, how often"):
        assert column in shown


@pytest.mark.parametrize("policy", ['["exp3"]', '{"epsilon": 0.2}', '{"name": ["exp3"]}', '"exp3"'])
def test_a_policy_is_a_name_or_an_object_with_one(run: Any, daemon: Any, policy: str) -> None:
    run(*CREATE)
    daemon.requests.clear()
    for arguments in (
        ("app", "set-policy", "digits", policy),
        ("app", "create", "other", "--input-type", "floats", "--policy", policy),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert f"{policy} is no selection policy." in result.stderr
        assert 'Give its name, exp3, or a JSON object with "name"' in result.stderr
    assert daemon.requests == []


def test_feedback_on_an_unknown_query_says_what_the_daemon_says_to_do(run: Any) -> None:
    run(*CREATE)
    result = run("feedback", "digits", "--query-id", "99", "--label", "1")
    assert result.exit_code == 1
    error, next_ = result.stderr.splitlines()
    assert error == "Error: Not Found: Query 99 of application 'digits' is unknown or too old."
    assert next_ == "Next:  Send feedback sooner, or name the input instead of the query."


def test_nothing_there_yet_says_what_to_do(run: Any) -> None:
    assert "app create" in run("app", "list").stderr
    assert "model deploy" in run("model", "list").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("app", "show", "nope"),
        ("app", "delete", "nope"),
        ("app", "link", "nope", "m"),
        ("model", "show", "nope"),
        ("model", "show", "nope", "1"),
        ("model", "scale", "nope", "1", "2"),
        ("query", "nope", "[1]"),
        ("feedback", "nope", "--query-id", "1", "--label", "1"),
    ],
    ids=" ".join,
)
def test_a_refusal_exits_1_with_a_next_step(run: Any, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "nope" in result.stderr
    assert "Next:  " in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("app", "create"),
        ("app", "create", "a", "--input-type", "floats", "--slo-ms", "0"),
        ("app", "create", "a", "--input-type", "floats", "--policy", "{"),
        ("app", "nonsense"),
        ("model", "deploy", "m", "1", "/no/such/file"),
        ("model", "deploy", "m", "1", "rules.py", "--framework", "python"),
        ("model", "deploy", "m", "1", "", "--batching", "{}", "--batch-size", "1"),
        ("model", "scale", "m", "1", "-2"),
        ("model", "logs", "m", "1", "--follow", "--json"),
        ("query", "digits", "hello"),
        ("query", "digits", "1", "--batch"),
        ("feedback", "digits", "--label", "1"),
        ("app", "list", "--url", "ftp://x"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2_before_anything_is_sent(
    run: Any, daemon: Any, arguments: tuple[str, ...]
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr
    assert daemon.requests == []


def test_an_unreachable_daemon_exits_3(run: Any, daemon: Any) -> None:
    daemon.down = {1337, 1338}
    for arguments in [("app", "list"), ("query", "a", "[1]"), ("status",), ("doctor",)]:
        result = run(*arguments)
        assert result.exit_code == 3, arguments
        assert "clipperd" in result.stdout + result.stderr


def test_a_failed_deployment_exits_4(run: Any, daemon: Any) -> None:
    daemon.deploy_error = "exited with code 1: ValueError: no weights"
    result = run(*DEPLOY)
    assert result.exit_code == 4
    assert "no weights" in result.stderr
    daemon.deploy_error = ""
    run(*DEPLOY)
    daemon.stuck = True
    assert run("model", "scale", "m", "1", "3", "--timeout", "1").exit_code == 4
    assert run("model", "scale", "m", "1", "3", "--no-wait").exit_code == 0


def test_flags_become_what_the_daemon_is_sent(
    run: Any, daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules.py").write_text("")
    monkeypatch.chdir(tmp_path)
    options = ("--batching", '{"controller": "fixed", "size": 8}', "--image", "mine:1")
    result = run("model", "deploy", "r", "1", "rules.py:Rules", *options, "--manager", "docker")
    assert result.exit_code == 0, result.stderr
    model = daemon.models["r", "1"]
    assert model["batching"] == {"controller": "fixed", "size": 8}
    assert model["deployment"]["path"] == f"{tmp_path}/rules.py:Rules"
    assert model["deployment"]["manager"] == "docker"
    assert model["deployment"]["image"] == "mine:1"
    run("model", "deploy", "r", "2", "rules.py:Rules", "--batch-size", "4", "--label", "x")
    assert daemon.models["r", "2"]["batch_size"] == 4
    assert daemon.models["r", "2"]["labels"] == ["x"]
    (tmp_path / "needs.txt").write_text("lightgbm>=4\n")
    needs = ("--requirements", "needs.txt", "--gpus", "0,1", "--gpus", "2", "--memory", "2g")
    run("model", "deploy", "r", "3", "rules.py:Rules", *needs, "--output", "predict_proba")
    deployment = daemon.models["r", "3"]["deployment"]
    assert deployment["requirements"] == ["lightgbm>=4"]
    assert deployment["gpus"] == ["0,1", "2"]
    assert deployment["memory_bytes"] == 2 << 30
    assert deployment["output"] == "predict_proba"
    shown = run("model", "show", "r", "3").stdout
    assert "0,1; 2" in shown
    assert "lightgbm>=4" in shown
    policy = '{"name": "exp3", "eta": 0.1}'
    run("app", "create", "p", "--input-type", "floats", "--policy", policy, "--loss", "squared")
    assert daemon.apps["p"]["selection_policy"] == {"name": "exp3", "eta": 0.1}


def test_the_daemon_may_be_named_before_or_after_the_command_or_in_the_environment(
    run: Any, daemon: Any
) -> None:
    daemon.tokens = {1338: "s3cret"}
    assert run("app", "list").exit_code == 1
    assert run("--token", "s3cret", "app", "list").exit_code == 0
    assert run("app", "list", "--token", "s3cret").exit_code == 0
    assert run("app", "list", env={"CLIPPER_TOKEN": "s3cret"}).exit_code == 0
    assert run("app", "list", env={"CLIPPER_URL": "http://10.1.1.1:1338"}).exit_code == 1
    assert daemon.requests[-1].url.host == "10.1.1.1"
    daemon.tokens = {1337: "q"}
    run(*CREATE)
    assert run("query", "digits", "[1]").exit_code == 1
    assert run("query", "digits", "[1]", "--query-token", "q").exit_code == 0


def test_a_script_is_not_asked_and_a_person_is(
    run: Any, daemon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*CREATE)
    assert run("app", "delete", "digits").exit_code == 0
    run(*CREATE)
    run(*DEPLOY)
    monkeypatch.setattr("clipper.admin.terminal.asked_by_a_person", lambda: True)
    assert run("app", "delete", "digits", input="n\n").exit_code == 1
    assert "digits" in daemon.apps
    assert run("app", "delete", "digits", input="y\n").exit_code == 0
    assert run("model", "delete", "m", "1", input="n\n").exit_code == 1
    assert run("model", "delete", "m", "1", "--yes").exit_code == 0
    assert daemon.models == {}


def test_an_interrupt_says_that_the_daemon_goes_on(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("clipper.admin.client.ClipperConnection.deploy_model", interrupt)
    result = run(*DEPLOY)
    assert result.exit_code == 130
    assert "goes on" in result.stderr
    monkeypatch.setattr("clipper.admin.commands.models.follow", interrupt)
    assert run("model", "logs", "m", "1", "--follow").exit_code == 0


def test_a_query_may_come_from_stdin(run: Any) -> None:
    run(*CREATE, "--default-output", "none")
    result = run("query", "digits", "-", input="[1, 2]")
    assert result.stdout == '"none"\n'
    assert "No connected models found" in result.stderr


def test_a_query_may_come_from_a_file(run: Any, daemon: Any, tmp_path: Path) -> None:
    run(*CREATE)
    run(*DEPLOY)
    run("app", "link", "digits", "m")
    array = np.array([[1, 2], [3, 4]], np.float32)
    np.save(tmp_path / "two.npy", array)
    assert run("query", "digits", "--file", str(tmp_path / "two.npy")).stdout == "10.0\n"
    assert daemon.requests[-1].content == frame("floats", array.tobytes(), (2, 2))
    rows = run("query", "digits", "--file", str(tmp_path / "two.npy"), "--batch")
    assert rows.stdout == "3.0\n7.0\n"
    run("app", "create", "raw", "--input-type", "bytes", "--slo-ms", "20")
    (tmp_path / "raw.jpg").write_bytes(b"\xff\xd8")
    assert run("query", "raw", "--file", str(tmp_path / "raw.jpg")).exit_code == 0
    assert daemon.requests[-1].content == frame("bytes", b"\xff\xd8")


def test_a_file_that_is_none_of_these_is_wrong_usage(run: Any, daemon: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"no array")
    (tmp_path / "empty.npy").touch()
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.save(tmp_path / "long.npy", np.array([2**40]))
    np.save(tmp_path / "one.npy", np.float32(1))
    (tmp_path / "raw").write_bytes(b"raw")
    for name, *more in (
        ("missing.npy",),
        ("missing.jpg",),
        ("bad.npy",),
        ("empty.npy",),
        ("objects.npy",),
        ("long.npy",),
        (".",),
        ("one.npy", "--batch"),
        ("raw", "--batch"),
        ("raw", "[1]"),
    ):
        result = run("query", "digits", "--file", str(tmp_path / name), *more)
        assert (result.exit_code, result.stdout) == (2, ""), result.stderr
        assert "Next:  " in result.stderr
    assert run("query", "digits").exit_code == 2
    assert daemon.requests == []


def test_help_has_examples_and_the_exit_codes(run: Any) -> None:
    assert "Exit codes" in run("--help").stdout
    for group in ([], ["app", "create"], ["model", "deploy"], ["query"], ["doctor"]):
        assert "clipper-admin" in run(*group, "--help").stdout
    assert run("--version").stdout.startswith("clipper-admin 0.")


def test_a_further_version_says_who_asks_it(run: Any) -> None:
    run(*CREATE)
    assert "app link APP m" in run(*DEPLOY).stderr
    run("app", "link", "digits", "m")
    deployed = run("model", "deploy", "m", "2", "--framework", "noop").stderr
    assert "digits asks it now." in deployed
    assert "app link" not in deployed
    again = run("app", "link", "digits", "m")
    assert (again.exit_code, again.stderr) == (0, "digits asks m already.\n")


def test_deleting_the_last_version_of_a_linked_model_warns(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*CREATE)
    run(*DEPLOY)
    run("model", "deploy", "m", "2", "--framework", "noop")
    run("app", "link", "digits", "m")
    assert "Warning" not in run("model", "delete", "m", "1").stderr
    monkeypatch.setattr("clipper.admin.terminal.asked_by_a_person", lambda: True)
    last = run("model", "delete", "m", "2", input="y\n").stderr
    assert "It is the last version, and digits asks it." in last
    assert "Warning: digits asks m, which has no version now." in last


def test_what_is_being_deployed_is_said_to_be(run: Any) -> None:
    status = " ".join(run("status").stdout.split())
    assert "deploying m:1 (starting, for 1 s)" in status
    for what in ("show", "delete"):
        refused = run("model", what, "m", "1")
        assert refused.exit_code == 1
        assert "m:1 is being deployed: starting, for 1 s." in refused.stderr
        assert "clipper-admin model logs m 1 --follow" in refused.stderr
        assert "There is no model m:2." in run("model", what, "m", "2").stderr


def test_complaints_have_a_line_each(run: Any, daemon: Any) -> None:
    reasons = ["a has no live replica", "b has no live replica"]
    daemon.status |= {"ready": False, "not_ready": reasons, "troubles": ["a: x", "b: y"]}
    lines = [line.strip() for line in run("status").stdout.splitlines()]
    assert {*reasons} <= {*lines}
    found = run("doctor").stdout
    assert "ready: a has no live replica\n        b has no live replica\n" in found
    assert "policies: a: x\n        b: y\n" in found


def test_what_is_no_json_is_answered_with_an_example(run: Any) -> None:
    refused = run("model", "deploy", "m", "1", "--framework", "noop", "--batching", "aimd")
    assert refused.exit_code == 2
    assert """'{"controller": "aimd"}'""" in refused.stderr
    image = run("model", "deploy", "m", "1", "--framework", "image", "--image", "mine:1")
    assert (image.exit_code, "lacks --manager docker." in image.stderr) == (2, True)

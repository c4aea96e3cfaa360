"""clipper-admin as a program, and the Python clients, against a real clipperd."""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipper.admin.aio import AsyncQueryClient
from clipper.admin.client import ClipperRefused

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]

ADDER = """\
import sys
from clipper_container import ModelContainer

class Adder(ModelContainer):
    def __init__(self, model_data):
        super().__init__(model_data)
        with open(model_data + "/offset") as file:
            self.offset = float(file.read())
        print("offset is", self.offset, flush=True)

    def predict_batch(self, inputs):
        return [float(one.sum()) + self.offset for one in inputs]

class Broken(ModelContainer):
    def __init__(self, model_data):
        raise ValueError("the weights are missing")

    def predict_batch(self, inputs):
        return inputs
"""


def program() -> list[str]:
    """clipper-admin, of this interpreter's environment."""
    installed = Path(sys.executable).with_name("clipper-admin")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "clipper.admin.cli"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a python model and its data."""
    (tmp_path / "adder.py").write_text(ADDER)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "offset").write_text("0.5")
    return tmp_path


@pytest.fixture
def admin(running: Any, models: Path) -> Run:
    """Run clipper-admin in the models' folder; the daemon is named by the environment."""

    def run(*arguments: str, expect: int = 0, **options: Any) -> Done:
        done = subprocess.run(
            [*program(), *arguments],
            capture_output=True,
            text=True,
            cwd=models,
            env=running.environment,
            timeout=90,
            check=False,
            stdin=subprocess.DEVNULL,
            **options,
        )
        assert done.returncode == expect, (arguments, done.stdout, done.stderr)
        return done

    return run


@pytest.fixture(autouse=True)
def clean(running: Any) -> Iterator[None]:
    """Nothing is left of the test before."""
    yield
    with running.connect() as clipper:
        clipper.stop_all_model_containers()
        for name in clipper.get_all_apps():
            clipper.unregister_application(name)


def deploy_adder(admin: Run, *, version: str = "1", data: str = "data") -> Done:
    name = ("model", "deploy", "adder", version, "adder.py:Adder", "--framework", "python")
    return admin(*name, "--input-type", "floats", "--model-data", data)


def create(admin: Run, name: str = "sums", *options: str) -> Done:
    about = ("--input-type", "floats", "--slo-ms", "2000", "--default-output", "-1")
    return admin("app", "create", name, *about, *options)


def test_a_model_is_served_in_three_steps(admin: Run) -> None:
    create(admin, "sums", "--policy", "single")
    deploy_adder(admin)
    admin("app", "link", "sums", "adder")
    plain = admin("query", "sums", "[1, 2]")
    assert plain.stdout == "3.5\n"
    answer = json.loads(admin("query", "sums", "[1, 2]", "--json").stdout)
    assert (answer["output"], answer["default"]) == (3.5, False)
    batch = json.loads(admin("query", "sums", "[[1], [2]]", "--batch", "--json").stdout)
    assert [one["output"] for one in batch["batch_predictions"]] == [1.5, 2.5]
    admin("app", "unlink", "sums", "adder")
    default = admin("query", "sums", "[1, 2]")
    assert default.stdout == "-1\n"
    assert "No connected models found for query" in default.stderr


def test_what_there_is_can_be_read_by_programs_and_by_people(admin: Run) -> None:
    create(admin)
    deploy_adder(admin)
    admin("app", "link", "sums", "adder")
    (application,) = json.loads(admin("app", "list", "--json").stdout)
    assert application["linked_models"] == ["adder"]
    assert json.loads(admin("app", "show", "sums", "--json").stdout) == application
    model = json.loads(admin("model", "show", "adder", "1", "--json").stdout)
    assert model["replica_states"][0]["state"] == "ready"
    (listed,) = json.loads(admin("model", "list", "--json").stdout)
    assert listed["replicas"] == {"wanted": 1, "ready": 1}
    status = json.loads(admin("status", "--json").stdout)
    assert (status["applications"], status["models"], status["ready"]) == (1, 1, True)
    for command in (["app", "list"], ["model", "list"], ["model", "show", "adder", "1"]):
        assert "adder" in admin(*command).stdout
    assert "memory://" in admin("status").stdout


def test_versions_roll_and_replicas_scale(admin: Run, models: Path) -> None:
    create(admin)
    for version, offset in (("1", "0.5"), ("2", "100")):
        data = models / f"data-{version}"
        data.mkdir()
        (data / "offset").write_text(offset)
        deploy_adder(admin, version=version, data=data.name)
    admin("app", "link", "sums", "adder")
    assert admin("query", "sums", "[1]").stdout == "101.0\n"
    admin("model", "set-version", "adder", "1")
    assert admin("query", "sums", "[1]").stdout == "1.5\n"
    assert admin("query", "sums", "[1]", "--version", "2").stdout == "101.0\n"
    scaled = json.loads(admin("model", "scale", "adder", "1", "2", "--json").stdout)
    assert scaled["replicas"] == {"wanted": 2, "ready": 2}
    admin("model", "delete", "adder", "1")
    assert admin("query", "sums", "[1]").stdout == "101.0\n"


def test_logs_are_printed_and_followed(admin: Run, running: Any, models: Path) -> None:
    deploy_adder(admin)
    assert "offset is 0.5" in admin("model", "logs", "adder", "1", "--tail", "5").stdout
    assert json.loads(admin("model", "logs", "adder", "1", "--json").stdout)["lines"]
    following = subprocess.Popen(
        [*program(), "model", "logs", "adder", "1", "--follow"],
        stdout=subprocess.PIPE,
        text=True,
        env=running.environment | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert following.stdout is not None
        assert any("offset is 0.5" in line for line in iter(following.stdout.readline, ""))
    finally:
        following.kill()
        following.communicate()


def test_a_deployment_that_fails_says_why_and_leaves_nothing(admin: Run) -> None:
    broken = ("model", "deploy", "bad", "1", "adder.py:Broken", "--input-type", "floats")
    done = admin(*broken, "--timeout", "30", expect=4)
    assert "the weights are missing" in done.stderr
    assert "Next:  " in done.stderr
    assert json.loads(admin("model", "list", "--json").stdout) == []


def test_refusals_exit_1_usage_2_and_silence_3(admin: Run) -> None:
    create(admin)
    assert "already exists" in create_again(admin).stderr
    deploy_adder(admin)
    deploy = ("model", "deploy", "adder", "1", "--framework", "noop")
    assert "already exists" in admin(*deploy, expect=1).stderr
    assert "does not exist" in admin("model", "deploy", "m", "1", "no.joblib", expect=2).stderr
    assert "app list" in admin("query", "nope", "[1]", expect=1).stderr
    text = admin("query", "sums", '["x"]', expect=1)
    assert text.stdout == ""
    silence = admin("app", "list", "--url", "http://127.0.0.1:9", expect=3)
    assert "clipperd" in silence.stderr


def create_again(admin: Run) -> Done:
    about = ("--input-type", "floats", "--slo-ms", "2000")
    return admin("app", "create", "sums", *about, expect=1)


def test_feedback_is_learned_by_a_policy_that_learns(admin: Run) -> None:
    create(admin, "sums", "--policy", "exp3")
    deploy_adder(admin)
    admin("app", "link", "sums", "adder")
    answer = json.loads(admin("query", "sums", "[1]", "--context", "me", "--json").stdout)
    by_id = ("--query-id", str(answer["query_id"]))
    told = admin("feedback", "sums", *by_id, "--label", "1.5", "--context", "me", "--json")
    assert isinstance(json.loads(told.stdout), dict)
    assert "Learned" in admin("feedback", "sums", "--input", "[1]", "--label", "1.5").stderr
    never = ("--query-id", "999999999", "--label", "1")
    assert "999999999" in admin("feedback", "sums", *never, expect=1).stderr


def test_doctor_finds_a_healthy_daemon_and_a_missing_one(admin: Run) -> None:
    checks = {one["name"]: one for one in json.loads(admin("doctor", "--json").stdout)}
    assert checks["admin listener"]["outcome"] == "ok"
    assert checks["query listener"]["outcome"] == "ok"
    lost = admin("doctor", "--url", "http://127.0.0.1:9", expect=3)
    assert "failed" in lost.stdout
    assert "clipperd" in lost.stdout


def test_a_person_is_asked_and_sees_the_phase(running: Any, admin: Run, models: Path) -> None:
    master, terminal = pty.openpty()
    deploy = ["model", "deploy", "adder", "1", "adder.py:Adder", "--model-data", "data"]
    with subprocess.Popen(
        [*program(), *deploy],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=models,
        env=running.environment | {"TERM": "xterm"},
    ) as process:
        os.close(terminal)
        shown = read_all(master)
    assert process.returncode == 0, shown
    assert "adder:1" in shown
    assert "0:00:0" in shown  # the elapsed time
    assert "1 of 1 replicas are ready" in shown
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [*program(), "model", "delete", "adder", "1"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=running.environment,
    ) as process:
        os.close(terminal)
        os.write(master, b"n\n")
        shown = read_all(master)
    assert process.returncode == 1
    assert "Delete adder:1" in shown
    assert json.loads(admin("model", "list", "--json").stdout)


def read_all(terminal: int) -> str:
    """Everything written to a terminal until its program ends."""
    parts, deadline = [], time.monotonic() + 60
    try:
        while time.monotonic() < deadline and (part := os.read(terminal, 4096)):
            parts.append(part)
    except OSError:  # a terminal ends with an error, not with an empty read
        pass
    os.close(terminal)
    return b"".join(parts).decode(errors="replace")


def test_the_python_client_does_the_same(running: Any, models: Path) -> None:
    with running.connect() as clipper:
        clipper.connect()
        clipper.register_application("sums", "floats", "-1", 2_000_000)
        path = f"{models / 'adder.py'}:Adder"
        data = str(models / "data")
        clipper.deploy_model("adder", 1, "floats", path, "python", model_data=data)
        clipper.link_model_to_app("sums", "adder")
        assert clipper.predict("sums", np.array([1, 2], dtype=np.float32)).output == 3.5
        batch = clipper.predict_batch("sums", np.eye(3, dtype=np.float32))
        assert [one.output for one in batch] == [1.5, 1.5, 1.5]
        assert clipper.predict_batch("sums", []) == []
        assert "counters" in clipper.inspect_instance()
        assert clipper.get_all_model_replicas() == ["adder:1:0"]
        (file,) = clipper.get_clipper_logs(str(models / "logs"))
        assert "offset is 0.5" in Path(file).read_text()
        with pytest.raises(ClipperRefused, match="already exists"):
            clipper.register_application("sums", "floats", "-1", 2_000_000)
        clipper.register_application("raw", "bytes", "none", 2_000_000)
        clipper.deploy_model("length", 1, "bytes", "", "noop")
        clipper.link_model_to_app("raw", "length")
        assert clipper.predict("raw", b"\x00\xff\x00").output == 3.0


async def test_the_async_client_shares_connections(running: Any) -> None:
    with running.connect() as clipper:
        clipper.register_application("sums", "floats", "-1", 2_000_000)
        clipper.deploy_model("noop", 1, "floats", "", "noop")
        clipper.link_model_to_app("sums", "noop")
    async with AsyncQueryClient(running.query_url) as queries:
        predictions = [await queries.predict("sums", [float(index)]) for index in range(20)]
        assert [one.output for one in predictions] == [float(index) for index in range(20)]
        batch = await queries.predict_batch("sums", np.ones((4, 2), dtype=np.float32))
        assert [one.output for one in batch] == [2.0] * 4

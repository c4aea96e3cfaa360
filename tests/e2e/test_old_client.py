"""The old release's published admin client, unmodified, drives our daemon."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.clipperd import Clipperd, clipperd
from tests.fakes.needs import missing

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("old_client_driver.py")
CLIENT = "clipper_admin==0.4.1"
# What its import needs. Its own pin, cloudpickle 0.5.3, does not run on a Python of today.
NEEDS = ("requests", "numpy", "pyyaml", "docker", "kubernetes", "jinja2", "cloudpickle")
INSTALL_S = 400.0

pytestmark = pytest.mark.timeout(INSTALL_S + 120)

Outcomes = list[dict[str, Any]]
Old = Callable[..., Outcomes]


@pytest.fixture(scope="session")
def old_python() -> Path:
    """The interpreter of an environment with the old client in it, made once and kept."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    folder = ROOT / "build" / f"old-client-0.4.1-{tag}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # two test runs may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(folder)
            (folder / "complete").touch()
    return folder / "bin" / "python"


def _install(folder: Path) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    steps = [
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, "--no-deps", CLIENT],
        [*pip, *NEEDS],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if done.returncode != 0:
            reason = done.stderr.strip().rpartition("\n")[2]
            _unavailable(f"{CLIENT} cannot be installed: {reason}")


def _unavailable(reason: str) -> None:
    missing("old-client", reason)


@pytest.fixture(scope="module", params=[1, 2], ids=["alone", "two workers"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Clipperd]:
    """A daemon for all tests of this file."""
    with clipperd(tmp_path_factory.mktemp("clipperd"), workers=request.param) as daemon:
        yield daemon


@pytest.fixture
def old(old_python: Path, running: Any) -> Old:
    """Make calls of the old client; an outcome for each."""

    def call(*calls: tuple[str, *tuple[Any, ...]]) -> Outcomes:
        plan = json.dumps([[method, arguments] for method, *arguments in calls])
        addresses = [url.removeprefix("http://") for url in (running.url, running.query_url)]
        command = [str(old_python), str(DRIVER), *addresses, plan]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        outcomes: Outcomes = json.loads(done.stdout)
        return outcomes

    return call


@pytest.fixture(autouse=True)
def clean(running: Any) -> None:
    """Nothing is left of the test before."""
    with running.connect() as clipper:
        clipper.stop_all_model_containers()
        for name in clipper.get_all_apps():
            clipper.unregister_application(name)


def values(outcomes: Outcomes) -> list[Any]:
    assert not [one for one in outcomes if "raised" in one], outcomes
    return [one["value"] for one in outcomes]


def test_it_finds_the_daemon_running(old: Old) -> None:
    assert values(old(("start_clipper",))) == [None]


def test_applications_are_registered_listed_and_unregistered(old: Old, running: Any) -> None:
    app = {
        "name": "hello",
        "input_type": "doubles",
        "default_output": "-1.0",
        "latency_slo_micros": 100000,
        "linked_models": [],
    }
    _, names, verbose, info, none = values(
        old(
            ("register_application", "hello", "doubles", "-1.0", 100000),
            ("get_all_apps",),
            ("get_all_apps", True),
            ("get_app_info", "hello"),
            ("get_app_info", "nobody"),
        )
    )
    assert names == ["hello"]
    assert app.items() <= info.items()
    assert app.items() <= verbose[0].items()
    assert none is None
    again, gone, twice, unknown = old(
        ("register_application", "hello", "doubles", "-1.0", 100000),
        ("unregister_application", "hello"),
        ("delete_application", "hello"),
        ("get_linked_models", "hello"),
    )
    assert "code: 400 and message: application 'hello' already exists" in again["raised"]
    assert gone == {"value": None}
    assert "Application 'hello' does not exist" in twice["raised"]
    assert "No application with name 'hello' exists." in unknown["raised"]
    assert (
        httpx.post(f"{running.query_url}/hello/predict", json={"input": [1.0]}).status_code == 404
    )


def test_models_are_registered_linked_and_rolled_back(old: Old) -> None:
    outcomes = values(
        old(
            ("register_application", "hello", "doubles", "-1.0", 100000),
            ("register_model", "sum", 1, "doubles"),
            ("register_model", "sum", 2, "doubles", "some/image:1", ["best"]),
            ("link_model_to_app", "hello", "sum"),
            ("get_linked_models", "hello"),
            ("get_all_models",),
            ("get_current_model_version", "sum"),
            ("set_model_version", "sum", 1),
            ("get_current_model_version", "sum"),
            ("get_model_info", "sum", 2),
            ("get_model_info", "sum", 3),
            ("unlink_model_from_app", "hello", "sum"),
            ("get_linked_models", "hello"),
        )
    )
    linked, models, newest, _, rolled_back, info, none, _, unlinked = outcomes[4:]
    assert (linked, unlinked) == (["sum"], [])
    assert models == ["sum:1", "sum:2"]
    assert (newest, rolled_back) == ("2", "1")
    assert none is None
    expected = {
        "model_name": "sum",
        "model_version": "2",
        "input_type": "doubles",
        "labels": ["best"],
        "container_name": "some/image:1",
        "is_current_version": False,
    }
    assert expected.items() <= info.items()


def test_what_cannot_be_is_refused_in_the_old_words(old: Old) -> None:
    old(
        ("register_application", "hello", "doubles", "-1.0", 100000),
        ("register_model", "sum", 1, "doubles"),
        ("register_model", "other", 1, "doubles"),
        ("register_model", "text", 1, "strings"),
        ("link_model_to_app", "hello", "sum"),
    )
    calls: list[tuple[tuple[Any, ...], str]] = [
        (("register_model", "sum", 1, "doubles"), "'sum' and version '1' already exists"),
        (("register_model", "a:b", 1, "doubles"), "Contains one of: ',', ':'"),
        (("register_application", "x", "nonsense", "", 1), "not a valid input string"),
        (("link_model_to_app", "nobody", "sum"), "No app with name 'nobody' exists."),
        (("link_model_to_app", "hello", "nobody"), "No model with name 'nobody' exists."),
        (("link_model_to_app", "hello", "text"), "incompatible input_type"),
        (("link_model_to_app", "hello", "sum"), "'sum' is already linked to 'hello'"),
        (("link_model_to_app", "hello", "other"), "A model with name sum is already linked"),
        (("unlink_model_from_app", "hello", "other"), "Cannot remove nonexistent link"),
        (("set_model_version", "sum", 7), "Cannot set non-existent version '7'"),
        (("set_model_version", "nobody", 7), "nonexistent model 'nobody'"),
        (("stop_versioned_models", {"sum": ["7"]}), "'sum' and version '7' does not exist"),
        (("get_current_model_version", "nobody"), "No versions of model nobody"),
        (("set_num_replicas", "sum", 2), "Cannot resize the replica set for containerless"),
    ]
    outcomes = old(*(call for call, _ in calls))
    for (call, text), one in zip(calls, outcomes, strict=True):
        assert text in one.get("raised", ""), (call, one)


def test_versions_are_stopped(old: Old) -> None:
    outcomes = values(
        old(
            *(("register_model", name, version, "floats") for name in "ab" for version in (1, 2)),
            ("stop_inactive_model_versions", ["a"]),
            ("get_all_models",),
            ("stop_versioned_models", {"b": ["1"]}),
            ("get_all_models",),
            ("stop_models", ["a"]),
            ("get_all_models",),
            ("stop_all_model_containers",),
            ("get_all_models",),
        )
    )
    listings = outcomes[5::2]
    assert listings == [["a:2", "b:1", "b:2"], ["a:2", "b:2"], ["b:2"], []]


def test_a_model_it_registered_is_served_once_replicas_are_deployed(old: Old, running: Any) -> None:
    values(
        old(
            ("register_application", "hello", "doubles", "-1.0", 2_000_000),
            ("deploy_model", "sum", 1, "doubles", "NO_CONTAINER"),
            ("link_model_to_app", "hello", "sum"),
        )
    )
    url = f"{running.query_url}/hello/predict"
    default = httpx.post(url, content=b'{"input": [1.0, 2.0]}').json()
    assert (default["output"], default["default"]) == (-1.0, True)
    assert default["default_explanation"].startswith("No connected models found for query")
    with running.connect() as clipper:
        clipper.deploy_model("sum", 1, "doubles", "", "noop")
    answer = httpx.post(url, content=b'{"input": [1.0, 2.0]}').json()
    assert (answer["output"], answer["default"]) == (3.0, False)
    replicas, replica, none, metrics = values(
        old(
            ("get_all_model_replicas",),
            ("get_model_replica_info", "sum", 1, 0),
            ("get_model_replica_info", "sum", 1, 9),
            ("inspect_instance",),
        )
    )
    assert replicas == ["sum:1:0"]
    assert (replica["model_id"], replica["model_replica_id"]) == ("sum:1", 0)
    assert none is None
    counters = {name: body for entry in metrics["counters"] for name, body in entry.items()}
    assert int(counters["app:hello:num_predictions"]["count"]) >= 2

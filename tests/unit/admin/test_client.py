"""The sync client's calls, against a daemon in a dict."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from clipper.admin.aio import AsyncQueryClient
from clipper.admin.client import (
    ClipperConnection,
    ClipperRefused,
    ClipperTimeout,
    ClipperUnreachable,
    DeployTimeout,
    InvalidCall,
)


def body(daemon: Any) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(daemon.requests[-1].content)
    return sent


def test_connect_names_the_listener_that_does_not_answer(
    daemon: Any, clipper: ClipperConnection
) -> None:
    clipper.connect()
    daemon.down.add(1337)
    with pytest.raises(ClipperUnreachable, match=":1337"):
        clipper.connect()


def test_an_application_is_registered_with_what_was_chosen(
    daemon: Any, clipper: ClipperConnection
) -> None:
    clipper.register_application("plain", "floats", "-1", 20_000)
    assert body(daemon) == {
        "name": "plain",
        "input_type": "floats",
        "default_output": "-1",
        "latency_slo_micros": 20_000,
        "selection_policy": "single",
    }
    policy = {"name": "exp3", "eta": 0.1}
    clipper.register_application(
        "many",
        "floats",
        "-1",
        20_000,
        selection_policy=policy,
        loss="squared",
        on_overload="reject",
        confidence_threshold=0.7,
    )
    assert body(daemon)["confidence_threshold"] == 0.7
    assert body(daemon)["selection_policy"] == policy
    assert (body(daemon)["loss"], body(daemon)["on_overload"]) == ("squared", "reject")


def test_applications_are_listed_shown_linked_and_deleted(clipper: ClipperConnection) -> None:
    clipper.register_application("a", "floats", "-1", 20_000)
    clipper.link_model_to_app("a", "m")
    assert clipper.get_all_apps() == ["a"]
    assert clipper.get_all_apps(verbose=True)[0]["name"] == "a"
    assert clipper.get_linked_models("a") == ["m"]
    assert clipper.get_selection_state("a", "user-17")["context"] == "user-17"
    clipper.unlink_model_from_app("a", "m")
    assert clipper.get_linked_models("a") == []
    clipper.unregister_application("a")
    assert clipper.get_app_info("a") is None


def test_what_is_not_there_is_none_and_what_is_refused_raises(
    daemon: Any, clipper: ClipperConnection
) -> None:
    assert clipper.get_model_info("m", 1) is None
    assert clipper.get_model_replica_info("m", 1, 0) is None
    with pytest.raises(ClipperRefused) as refusal:
        clipper.delete_application("a")
    assert refusal.value.code == "unknown_application"
    daemon.tokens[1338] = "s3cret"
    with pytest.raises(ClipperRefused) as refusal:
        clipper.get_app_info("a")
    assert refusal.value.status == 401
    assert "--token" in refusal.value.hint


def test_a_deployment_sends_absolute_paths(
    daemon: Any, clipper: ClipperConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules.py").write_text("")
    (tmp_path / "tables").mkdir()
    monkeypatch.chdir(tmp_path)
    clipper.deploy_model(
        "m", 1, "auto", "rules.py:Rules", model_data="tables", labels=["x"], batch_size=-1
    )
    assert body(daemon) == {
        "name": "m",
        "version": "1",
        "labels": ["x"],
        "batch_size": -1,
        "deployment": {
            "path": f"{tmp_path}/rules.py:Rules",
            "model_data": f"{tmp_path}/tables",
            "replicas": 1,
        },
    }


def test_a_model_may_need_no_packages_whatever_its_folder_names(
    daemon: Any, clipper: ClipperConnection
) -> None:
    clipper.deploy_model("m", 1, "floats", "", "noop", requirements=[])
    assert body(daemon)["deployment"]["requirements"] == []
    clipper.deploy_model("m", 2, "floats", "", "noop", pkgs_to_install=["scipy"])
    assert body(daemon)["deployment"]["requirements"] == ["scipy"]
    clipper.deploy_model("m", 3, "floats", "", "noop", requirements=None)
    assert "requirements" not in body(daemon)["deployment"]


def test_nothing_is_sent_for_a_missing_file(daemon: Any, clipper: ClipperConnection) -> None:
    with pytest.raises(InvalidCall, match="does not exist"):
        clipper.deploy_model("m", 1, "floats", "/no/such.joblib")
    with pytest.raises(InvalidCall, match="model data"):
        clipper.deploy_model("m", 1, "floats", "", "noop", model_data="/no/such")
    assert daemon.requests == []


def test_a_failed_deployment_says_why(daemon: Any, clipper: ClipperConnection) -> None:
    daemon.deploy_error = "exited with code 1: ValueError: no weights"
    with pytest.raises(ClipperRefused, match="no weights") as refusal:
        clipper.deploy_model("m", 1, "floats", "", "noop")
    assert refusal.value.code == "deploy_failed"


def test_versions_roll_back_and_forward(clipper: ClipperConnection) -> None:
    for version in (1, 2):
        clipper.deploy_model("m", version, "floats", "", "noop")
    assert clipper.get_all_models() == ["m:1", "m:2"]
    assert clipper.get_current_model_version("m") == "2"
    clipper.set_model_version("m", 1, num_replicas=3)
    assert clipper.get_current_model_version("m") == "1"
    assert clipper.get_num_replicas("m") == 3
    assert clipper.get_num_replicas("m", 2) == 1


def test_scaling_waits_until_replicas_are_ready(
    daemon: Any, clipper: ClipperConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    clipper.deploy_model("m", 1, "floats", "", "noop")
    daemon.stuck = True
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            daemon.models["m", "1"]["replicas"]["ready"] = 2

    monkeypatch.setattr("time.sleep", nap)
    assert clipper.set_num_replicas("m", 2)["replicas"] == {"wanted": 2, "ready": 2}
    assert len(naps) == 3


def test_scaling_that_does_not_wait_returns_at_once_and_one_that_does_gives_up(
    daemon: Any, clipper: ClipperConnection
) -> None:
    clipper.deploy_model("m", 1, "floats", "", "noop")
    daemon.stuck = True
    model = clipper.set_num_replicas("m", 2, timeout_s=0)
    assert model["replicas"] == {"wanted": 2, "ready": 1}
    with pytest.raises(DeployTimeout, match="1 of 2 replicas of m:1") as timeout:
        clipper.set_num_replicas("m", 2, timeout_s=0.01)
    assert "model logs m 1" in timeout.value.hint
    assert isinstance(timeout.value, ClipperTimeout)


def test_replicas_come_under_the_old_clients_keys(clipper: ClipperConnection) -> None:
    clipper.register_model("bare", 1, "floats")
    clipper.deploy_model("m", 1, "floats", "", "noop", num_replicas=2)
    assert clipper.get_all_model_replicas() == ["m:1:0", "m:1:1"]
    replica = clipper.get_model_replica_info("m", 1, 1)
    assert replica is not None
    assert (replica["model_id"], replica["model_replica_id"]) == ("m:1", 1)
    assert replica["identity"] == "pid 4712"
    assert clipper.get_model_replica_info("m", 1, 5) is None


def test_stopping_deletes_what_was_named(clipper: ClipperConnection) -> None:
    for name, version in [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("c", 2)]:
        clipper.register_model(name, version, "floats")
    clipper.stop_inactive_model_versions(["a", "c"])
    assert clipper.get_all_models() == ["a:2", "b:1", "c:2"]
    clipper.stop_versioned_models({"c": [2]})
    clipper.stop_models(["a"])
    assert clipper.get_all_models() == ["b:1"]
    clipper.stop_all_model_containers()
    assert clipper.get_all_models() == []


def test_logs_are_read_and_saved(daemon: Any, clipper: ClipperConnection, tmp_path: Path) -> None:
    daemon.logs = ["one", "two", "three"]
    clipper.deploy_model("m", 1, "floats", "", "noop")
    assert clipper.get_model_logs("m", 1, tail=2) == ["two", "three"]
    (file,) = clipper.get_clipper_logs(str(tmp_path / "logs"))
    assert Path(file).read_text() == "one\ntwo\nthree\n"


def test_queries_take_arrays_and_answer_values(clipper: ClipperConnection) -> None:
    clipper.register_application("a", "floats", "-1", 20_000)
    default = clipper.predict("a", np.array([1.0, 2.0], np.float32))
    assert (default.output, default.is_default) == ("-1", True)
    assert not clipper.feedback("a", 3, query_id=default.query_id).learned
    clipper.link_model_to_app("a", "m")
    assert clipper.predict("a", np.array([1.0, 2.0], np.float32)).output == 3.0
    assert [one.output for one in clipper.predict_batch("a", np.eye(2, dtype=np.float32))] == [
        1.0,
        1.0,
    ]
    assert len(clipper.predict_batch("a", [[1.0]])) == 1
    assert clipper.predict_batch("a", []) == []
    assert clipper.feedback("a", 3, input=[1.0]).learned


def test_an_unknown_application_refuses_queries(clipper: ClipperConnection) -> None:
    with pytest.raises(ClipperRefused, match="no application nope") as refusal:
        clipper.predict("nope", [1.0])
    assert refusal.value.status == 404


def test_addresses_status_deployments_and_metrics(clipper: ClipperConnection) -> None:
    assert clipper.get_query_addr() == "127.0.0.1:1337"
    assert clipper.get_metric_addr() == "127.0.0.1:1338"
    assert clipper.status()["ready"] is True
    assert clipper.get_deployments()[0]["phase"] == "starting"
    assert "counters" in clipper.inspect_instance()


def test_what_is_not_given_comes_from_the_environment(
    daemon: Any, queries: AsyncQueryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.tokens = {1338: "s3cret", 1337: "q"}
    monkeypatch.setenv("CLIPPER_URL", "http://10.1.1.1:1338")
    monkeypatch.setenv("CLIPPER_QUERY_URL", "http://10.1.1.2:1337")
    monkeypatch.setenv("CLIPPER_ADMIN_TOKEN", "s3cret")
    monkeypatch.setenv("CLIPPER_QUERY_TOKEN", "q")
    transport = httpx.MockTransport(daemon)
    with ClipperConnection(transport=transport) as found:
        found.status()
        assert (found.admin.address, found.get_query_addr()) == ("10.1.1.1:1338", "10.1.1.2:1337")
        daemon.apps["a"] = {"linked_models": [], "default_output": "-1"}
        assert found.predict("a", [1]).is_default
    assert AsyncQueryClient().url == "http://10.1.1.2:1337"
    with ClipperConnection("other:1338", token="wrong", transport=transport) as given:
        assert given.admin.address == "other:1338"
        with pytest.raises(ClipperRefused):
            given.status()


def test_an_error_is_all_that_is_shown_of_a_failed_call(
    daemon: Any, clipper: ClipperConnection
) -> None:
    daemon.down = {1338}
    with pytest.raises(ClipperUnreachable, match="Nothing answers") as failure:
        clipper.status()
    assert failure.value.__suppress_context__

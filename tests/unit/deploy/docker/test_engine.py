"""How the engine's answers are read."""

from typing import Any, cast

import pytest
from docker import DockerClient

from clipper.core.types import ModelId, ReplicaId
from clipper.deploy.docker.engine import Engine

LABELS = {
    "ai.clipper.model": "m",
    "ai.clipper.version": "1",
    "ai.clipper.replica": "2",
    "ai.clipper.launch": "L",
}


class FakeClient:
    """Lists one container, and looks at it."""

    def __init__(self, **attributes: Any) -> None:
        self.attrs = {"Id": "0123", "Names": ["/n"], "Labels": LABELS, "State": "running"}
        self.attrs |= {"Status": "Up 3 hours (healthy)"} | attributes
        self.containers = self.api = self

    def list(self, **how: Any) -> Any:
        assert how["filters"] == {"label": "ai.clipper.instance=me"}
        return [self]

    def inspect_container(self, container_id: str) -> Any:
        return self.attrs


def engine(client: FakeClient) -> Engine:
    return Engine(cast(DockerClient, client), "me")


def test_a_container_is_found_with_its_replica_and_what_was_asked_for() -> None:
    (one,) = engine(FakeClient()).found()
    assert (one.id, one.name, one.launch, one.is_well) == ("0123", "n", "L", True)
    assert one.replica == ReplicaId(ModelId("m", "1"), 2)


def test_what_is_found_has_all_its_addresses() -> None:
    networks = {"ours": {"IPAddress": "172.20.0.2"}, "bridge": {"IPAddress": "172.17.0.9"}}
    (one,) = engine(FakeClient(NetworkSettings={"Networks": networks})).found()
    assert one.addresses == {"172.20.0.2", "172.17.0.9"}


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("exited", "Exited (1) 2 minutes ago"),
        ("paused", "Up 2 minutes (Paused)"),
        ("created", "Created"),
        ("dead", "Dead"),
        ("running", "Up 2 minutes (unhealthy)"),
    ],
)
def test_one_that_does_not_run_or_has_failed_its_check_is_not_well(state: str, status: str) -> None:
    (one,) = engine(FakeClient(State=state, Status=status)).found()
    assert not one.is_well


@pytest.mark.parametrize(
    "labels",
    [
        None,
        {},
        LABELS | {"ai.clipper.model": "../../etc"},
        LABELS | {"ai.clipper.version": "a/b"},
        LABELS | {"ai.clipper.replica": "-1"},
    ],
)
def test_labels_that_name_no_replica_are_nobodys(labels: Any) -> None:
    (one,) = engine(FakeClient(Labels=labels)).found()
    assert one.replica is None


def located(networks: dict[str, Any], env: list[str]) -> Any:
    settings, config = {"Networks": networks}, {"Env": env}
    return engine(FakeClient(NetworkSettings=settings, Config=config)).look("0123")


def test_a_container_is_called_on_our_network_and_has_all_its_addresses() -> None:
    networks = {
        "bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": "fd00::2"},
        "clipper-me": {"IPAddress": "172.18.0.3", "GlobalIPv6Address": ""},
    }
    where = located(networks, ["PATH=/bin", "CLIPPER_CONTAINER_TOKEN=a=b"])
    assert (where.address, where.token) == ("172.18.0.3:7000", "a=b")
    assert where.addresses == {"172.17.0.2", "fd00::2", "172.18.0.3"}


def test_one_that_has_ended_is_nowhere() -> None:
    assert located({"clipper-me": {"IPAddress": ""}}, []).address == "127.0.0.1:0"
    assert located({}, []).address == "127.0.0.1:0"

"""Which networks a model may have, and what ours has to be."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker import DockerClient

from clipper.core.errors import DeployError
from clipper.deploy.docker.network import ICC, Networks


class FakeClient:
    """Has networks by name; finds them by a part of it, as the engine does."""

    def __init__(self, **networks: dict[str, Any]) -> None:
        self._all = {name.replace("_", "-"): attrs for name, attrs in networks.items()}
        self.networks = self

    def list(self, names: list[str]) -> Any:
        return [
            SimpleNamespace(name=name, attrs=attrs)
            for name, attrs in self._all.items()
            if names[0] in name
        ]

    def create(self, name: str, **asked: Any) -> None:
        self._all[name] = {
            "Internal": asked["internal"],
            "Options": asked["options"],
            "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]},
            "Labels": asked["labels"],
        }


def networks(client: FakeClient) -> Networks:
    return Networks(cast(DockerClient, client), "me")


def test_ours_is_made_once_leads_nowhere_and_says_whose_it_is() -> None:
    client = FakeClient()
    ours = networks(client)
    ours.ensure()
    ours.ensure()
    (made,) = client.list(["clipper-me"])
    assert made.attrs["Internal"] is True
    assert made.attrs["Options"] == {ICC: "false"}
    assert made.attrs["Labels"] == {"ai.clipper.instance": "me"}
    assert [str(subnet) for subnet in ours.subnets] == ["172.18.0.0/16"]


@pytest.mark.parametrize(
    ("internal", "options"), [(False, {ICC: "false"}), (True, {}), (True, None)]
)
def test_one_of_our_name_that_leads_somewhere_is_refused(internal: bool, options: Any) -> None:
    client = FakeClient(clipper_me={"Internal": internal, "Options": options})
    with pytest.raises(DeployError, match="clipper-me is not as") as refused:
        networks(client).ensure()
    assert "docker network rm clipper-me" in refused.value.hint


def test_a_network_is_found_by_its_whole_name() -> None:
    client = FakeClient(bridge_two={}, bridge={})
    assert networks(client).find("bridge").name == "bridge"


@pytest.mark.parametrize("name", ["host", "none", "container:0123", "container"])
def test_what_is_no_network_of_its_own_is_refused_by_name(name: str) -> None:
    client = FakeClient(host={}, none={}, container={})
    with pytest.raises(DeployError, match=f"'{name}'"):
        networks(client).find(name)


def test_a_network_that_is_not_there_is_named_with_how_to_make_it() -> None:
    with pytest.raises(DeployError, match="no network 'brid' in Docker") as refused:
        networks(FakeClient(bridge={})).find("brid")
    assert "docker network create brid" in refused.value.hint

"""Which image a name means, and which are removed when versions go."""

from collections.abc import Callable
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
from docker import DockerClient
from docker.errors import APIError, ImageNotFound

from clipper.core.errors import DeployError
from clipper.deploy.docker.images import Images


class FakeClient:
    """Has images that were built for us."""

    def __init__(self, *built: dict[str, Any], refusal: int = 0) -> None:
        self.built = built
        self.refusal = refusal
        self.removed: list[str] = []
        self.meanwhile: Callable[[], object] = int
        """What happens while an image is being removed."""
        self.api = SimpleNamespace(images=self.list, remove_image=self.remove)
        self.images = SimpleNamespace(get=self.get)

    def list(self, filters: dict[str, Any]) -> Any:
        assert filters == {"label": ["ai.clipper.instance=me", "ai.clipper.built=1"]}
        return self.built

    def get(self, name: str) -> Any:
        is_built = any(name in one["RepoTags"] or () for one in self.built)
        if name in self.removed or not (is_built or name == "there:1"):
            raise ImageNotFound("no")
        return SimpleNamespace(id="sha256:1", labels={"ai.clipper.base": "sha256:1"})

    def remove(self, name: str) -> None:
        self.meanwhile()
        if self.refusal:
            response = requests.Response()
            response.status_code = self.refusal
            raise APIError("no", response=response)
        self.removed.append(name)


def images(client: FakeClient) -> Images:
    return Images(cast(DockerClient, client), "me")


def nobody(image: str) -> bool:
    return False


def built(image_id: str, *tags: str) -> dict[str, Any]:
    return {"Id": image_id, "RepoTags": list(tags) or None}


def test_those_that_no_version_names_are_removed() -> None:
    client = FakeClient(built("1", "clipper/m:1"), built("2", "clipper/m:2", "clipper/n:1"))
    images(client).remove_built({"clipper/m:2"}.__contains__)
    assert client.removed == ["clipper/m:1", "clipper/n:1"]


def test_those_that_have_lost_their_name_to_another_build_are_removed() -> None:
    client = FakeClient(built("1"), built("2", "<none>:<none>"))
    images(client).remove_built({"clipper/m:2"}.__contains__)
    assert client.removed == ["1", "2"]


def test_one_that_is_needed_only_since_others_went_stays() -> None:
    client = FakeClient(built("1", "clipper/m:1"), built("2", "clipper/m:2"))
    needed: set[str] = set()
    client.meanwhile = lambda: needed.add("clipper/m:2")
    images(client).remove_built(needed.__contains__)
    assert client.removed == ["clipper/m:1"]


def test_a_start_does_not_find_an_image_that_is_about_to_go() -> None:
    client = FakeClient(built("1", "clipper/m:1"))
    these = images(client)
    assert these.is_made_of("clipper/m:1", "there:1")
    found: list[bool] = []
    start = Thread(target=lambda: found.append(these.is_made_of("clipper/m:1", "there:1")))

    def meanwhile() -> None:
        start.start()
        start.join(0.05)

    client.meanwhile = meanwhile
    these.remove_built(nobody)
    start.join()
    assert found == [False]


@pytest.mark.parametrize("refusal", [404, 409])
def test_one_that_a_container_uses_or_that_is_gone_is_no_error(refusal: int) -> None:
    images(FakeClient(built("1", "clipper/m:1"), refusal=refusal)).remove_built(nobody)


def test_another_refusal_of_the_engines_is_told() -> None:
    with pytest.raises(DeployError, match="cannot be removed"):
        images(FakeClient(built("1", "clipper/m:1"), refusal=500)).remove_built(nobody)


def test_an_image_is_looked_up_and_a_missing_one_named() -> None:
    assert images(FakeClient()).id_of("there:1") == "sha256:1"
    with pytest.raises(DeployError, match="there is no image gone:1") as missing:
        images(FakeClient()).id_of("gone:1")
    assert "docker/build.sh" in missing.value.hint

"""What the SDK raises becomes an error that says what to do."""

from typing import Any

import pytest
import requests
from docker.errors import APIError, DockerException

from clipper.core.errors import DeployError
from clipper.deploy.docker.client import check_reachable, translated


def test_the_engines_own_words_are_passed_on() -> None:
    with pytest.raises(DeployError) as raised, translated("it cannot be started"):
        raise APIError("409", explanation="port is already allocated\n")
    assert raised.value.message == (
        "it cannot be started: the Docker engine says: port is already allocated"
    )


def test_an_engine_without_gpus_comes_with_what_to_install() -> None:
    words = 'could not select device driver "" with capabilities: [[gpu]]'
    with pytest.raises(DeployError, match="select device driver") as raised, translated("it"):
        raise APIError("500", explanation=words)
    assert "NVIDIA Container Toolkit" in raised.value.hint


@pytest.mark.parametrize(
    "error",
    [DockerException("no socket"), requests.ConnectionError("refused"), PermissionError(13, "no")],
)
def test_an_engine_that_cannot_be_reached_comes_with_a_way_out(error: Exception) -> None:
    with pytest.raises(DeployError, match="no Docker engine answers") as raised, translated("it"):
        raise error
    assert "process" in raised.value.hint
    assert raised.value.__cause__ is error


def test_our_own_errors_pass() -> None:
    with pytest.raises(DeployError, match="there is no image x"), translated("it"):
        raise DeployError("there is no image x")


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        ({"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}, "is rootless"),
        ({"SecurityOptions": None, "OperatingSystem": "Docker Desktop"}, "Docker Desktop"),
    ],
)
def test_an_engine_whose_containers_cannot_be_reached_is_refused(
    info: dict[str, Any], kind: str
) -> None:
    with pytest.raises(DeployError, match=kind) as refused:
        check_reachable(info)
    assert "DOCKER_HOST" in refused.value.hint


def test_an_ordinary_engine_is_taken() -> None:
    check_reachable({"SecurityOptions": ["name=seccomp"], "OperatingSystem": "Debian GNU/Linux"})

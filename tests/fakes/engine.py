"""The real Docker engine, where there is one."""

import os

import docker
import pytest
from docker.errors import DockerException

import clipper


def require_docker(framework: str = "python") -> docker.DockerClient:
    """A client of the engine, which has the framework's image; without them the test is skipped.

    Where the variable TEST_REQUIRE names docker, they must be there.
    """
    image = f"clipper/{framework}-container:{clipper.__version__}"
    try:
        client = docker.from_env(timeout=30)
        client.images.get(image)
    except DockerException as error:
        if "docker" in os.environ.get("TEST_REQUIRE", "").split(","):
            raise
        pytest.skip(f"docker: no engine with the image {image} ({error})")
    return client

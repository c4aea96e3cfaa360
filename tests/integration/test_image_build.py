"""docker/build.sh, run: what an image is like, and what is left of those before it."""

import contextlib
import json
import os
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import docker
import pytest

import clipper
from tests.fakes.engine import require_image

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[2]
BASE = "clipper-base:bookworm"


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    require_image(BASE)
    with contextlib.closing(docker.from_env()) as client:
        yield client


@pytest.fixture
def prefix(engine: docker.DockerClient) -> Iterator[str]:
    """How the names of this test's images begin; they are removed after it."""
    prefix = f"clipper-test-{uuid.uuid4().hex[:8]}"
    yield prefix
    for tag in [*tags_of(engine, prefix, "noop-container"), *tags_of(engine, prefix, "base")]:
        engine.images.remove(tag)


def tags_of(engine: docker.DockerClient, prefix: str, name: str) -> set[str]:
    """The names of images under a prefix; the same image may have others, which are not ours."""
    tags = (tag for image in engine.images.list(f"{prefix}/{name}") for tag in image.tags)
    return {tag for tag in tags if tag.startswith(f"{prefix}/")}


def build(*images: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [ROOT / "docker" / "build.sh", *images],
        env=os.environ | {"BASE_IMAGE": BASE, "PYTHON": sys.executable} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def nameless(engine: docker.DockerClient, label: str) -> str:
    """An image without a name, as a build leaves it whose name has gone to the next."""
    content = BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        entry = tarfile.TarInfo(uuid.uuid4().hex)  # no two are the same
        tar.addfile(entry)
    changes = [f"LABEL {label}"]
    answer = engine.api.import_image_from_data(content.getvalue(), changes=changes)
    return str(json.loads(answer)["status"])


def test_an_image_runs_without_rights_says_whether_it_is_ready_and_replaces_the_one_before(
    engine: docker.DockerClient, prefix: str
) -> None:
    ours = nameless(engine, "ai.clipper.built=image")
    foreign = nameless(engine, "somebody=else")
    try:
        for variant in ("", "cuda"):
            done = build("noop", PREFIX=prefix, VARIANT=variant)
            assert done.returncode == 0, done.stderr
        tags = tags_of(engine, prefix, "noop-container")
        name = f"{prefix}/noop-container:{clipper.__version__}"
        assert tags == {name, f"{name}-cuda"}
        image = engine.images.get(name)
        assert image.id == engine.images.get(f"{name}-cuda").id, "the same source on the same base"
        config = image.attrs["Config"]
        assert config["User"] == "10001:10001"
        assert config["Healthcheck"]["Test"] == ["CMD", "test", "-f", "/tmp/ready"]
        assert image.labels["ai.clipper.built"] == "image"
        left = [str(each.id) for each in engine.images.list(filters={"dangling": True})]
        assert ours not in left
        assert foreign in left
    finally:
        engine.images.remove(foreign)


def test_an_image_that_there_is_none_of_is_refused_before_anything_is_built() -> None:
    done = build("noop", "nosuch")
    assert done.returncode == 2
    assert "there is no image nosuch" in done.stderr
    assert "daemon" in done.stderr

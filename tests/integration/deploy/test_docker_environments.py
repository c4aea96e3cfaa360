"""Models in Docker with packages of their own: real builds, a real pip, and no index."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import docker
import pytest

from clipper.core.errors import DeployError
from clipper.deploy.docker.manager import DockerManager
from clipper.deploy.instance import instance_id
from clipper.deploy.manager import ContainerSpec
from tests.fakes.engine import ask, id_of
from tests.fakes.watching import printed
from tests.fakes.wheels import write_wheel

pytestmark = pytest.mark.docker
Spec = Callable[..., ContainerSpec]
OWNED = "open('/opt/owned', 'w').write('by a package')"


@pytest.fixture
async def containers(engine: docker.DockerClient, tmp_path: Path) -> AsyncIterator[DockerManager]:
    """An open Docker manager whose pip knows a few packages of no use."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels, "greeting", "1.0", "WORD = 'hello'")
    write_wheel(wheels, "greeting", "2.0", "WORD = 'good day'")
    write_wheel(wheels, "sitecustomize", "1.0", OWNED)
    write_wheel(wheels, "lonely", "1.0", "", needs="no-such-package>=3")
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": "/dev/null"}
    manager = DockerManager(tmp_path / "data", "clipper", build_variables=pip)
    await manager.open()
    yield manager
    await manager.close()
    for image in built(engine, tmp_path):
        engine.images.remove(image)


def needing(spec: ContainerSpec, *requirements: str) -> ContainerSpec:
    return replace(spec, deployment=replace(spec.deployment, requirements=requirements))


def built(engine: docker.DockerClient, tmp_path: Path) -> list[str]:
    """The names of images that were built for this data directory."""
    label = f"ai.clipper.instance={instance_id(tmp_path / 'data')}"
    return [tag for image in engine.images.list(filters={"label": label}) for tag in image.tags]


async def test_packages_go_into_an_image_that_is_built_once_and_goes_when_nobody_needs_it(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec, tmp_path: Path
) -> None:
    specs = [needing(spec("Imports", "docker", index=index), "greeting<2") for index in (0, 1)]
    first, second = await asyncio.gather(*map(containers.start, specs))
    for container in (first, second):
        assert await printed(partial(containers.logs, container.replica, 1000), "greeting hello")
        assert await ask(container, bytes(8)) == [2]
    (image,) = built(engine, tmp_path)
    for each in (first, second):
        logs = await containers.logs(each.replica, 1000)
        assert len([line for line in logs if "Successfully tagged" in line]) == 1

    await containers.start(specs[0])
    assert built(engine, tmp_path) == [image]
    await first.stop(5)
    await containers.forget([])
    assert built(engine, tmp_path) == [image], "a container runs from it"
    await containers.forget([specs[0].deployment])
    await containers.close()
    await containers.open()
    await containers.forget([specs[0].deployment])
    assert built(engine, tmp_path) == [image], "a deployment needs it"
    await containers.forget([])
    assert built(engine, tmp_path) == []


async def test_nothing_of_a_package_runs_while_its_image_is_built(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec, tmp_path: Path
) -> None:
    container = await containers.start(needing(spec("Serves", "docker"), "sitecustomize"))
    (image,) = built(engine, tmp_path)
    found = engine.containers.run(image, ["/opt"], entrypoint=["ls"], remove=True)
    assert b"clipper" in found
    assert b"owned" not in found
    # It is in the image, where it may run as the model does, and then cannot do this.
    lines = await printed(partial(containers.logs, container.replica, 1000), "/opt/owned")
    assert any("Read-only" in line or "Permission" in line for line in lines)


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [("no-such-package", "no-such-package"), ("lonely", "no-such-package>=3")],
)
async def test_packages_that_are_not_to_be_had_fail_the_start_with_pips_own_words(
    containers: DockerManager,
    engine: docker.DockerClient,
    spec: Spec,
    tmp_path: Path,
    requirement: str,
    reason: str,
) -> None:
    wish = needing(spec("Serves", "docker"), requirement)
    with pytest.raises(DeployError, match="No matching distribution") as refused:
        await containers.start(wish)
    assert reason in refused.value.message
    assert refused.value.hint
    assert any(reason in line for line in await containers.logs(wish.replica, 100))
    assert built(engine, tmp_path) == []


async def test_a_start_that_is_given_up_ends_its_build(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec, tmp_path: Path
) -> None:
    wish = needing(spec("Serves", "docker"), "greeting==2.0")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await containers.start(wish)
    assert built(engine, tmp_path) == []
    container = await containers.start(wish)
    assert await ask(container, bytes(4)) == [1]


async def test_a_framework_whose_image_is_missing_is_named_before_anything_is_built(
    containers: DockerManager, spec: Spec
) -> None:
    wish = needing(spec("Serves", "docker"), "greeting")
    for_gpus = replace(wish, deployment=replace(wish.deployment, gpus=("all",)))
    with pytest.raises(DeployError, match="there is no image clipper/python-container") as refused:
        await containers.start(for_gpus)
    assert "docker/build.sh" in refused.value.hint


async def test_a_container_of_a_built_image_still_finds_the_sdk(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec
) -> None:
    container = await containers.start(needing(spec("Serves", "docker"), "greeting"))
    config = engine.api.inspect_container(id_of(container))["Config"]
    assert config["Entrypoint"] == ["python3", "-P", "-m", "clipper_container"]
    assert config["User"] == "10001:10001"

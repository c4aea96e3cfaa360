"""What a deployment may ask of a real Docker engine, and what that makes of it."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

import clipper
from clipper.core.errors import DeployError
from clipper.deploy.docker.manager import DockerManager
from clipper.deploy.docker.request import Limits
from clipper.deploy.instance import instance_id
from clipper.deploy.manager import ContainerSpec
from tests.fakes.engine import ask, id_of

pytestmark = pytest.mark.docker
Spec = Callable[..., ContainerSpec]
Build = Callable[..., str]
IMAGE = f"clipper/python-container:{clipper.__version__}"


@pytest.fixture
async def containers(engine: docker.DockerClient, tmp_path: Path) -> AsyncIterator[DockerManager]:
    """An open Docker manager, whose containers have little memory."""
    manager = DockerManager(tmp_path / "data", "clipper", Limits(memory_bytes=128 << 20))
    await manager.open()
    yield manager
    await manager.close()


def asking(spec: ContainerSpec, **wishes: object) -> ContainerSpec:
    return replace(spec, deployment=replace(spec.deployment, **wishes))  # type: ignore[arg-type]


async def test_a_deployments_own_limits_are_the_containers(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec
) -> None:
    wish = asking(spec("Serves", "docker"), memory_bytes=200 << 20, cpus=0.5)
    container = await containers.start(wish)
    config = engine.api.inspect_container(id_of(container))["HostConfig"]
    assert (config["Memory"], config["MemorySwap"]) == (200 << 20, 200 << 20)
    assert config["NanoCpus"] == 500_000_000


async def test_gpus_that_the_engine_cannot_give_are_refused_with_what_to_do(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec
) -> None:
    if "nvidia" in engine.info()["Runtimes"]:
        pytest.skip("this engine can give GPUs")
    with pytest.raises(DeployError, match="could not select device driver") as refused:
        await containers.start(asking(spec("Serves", "docker"), gpus=("all",), image=IMAGE))
    assert "NVIDIA Container Toolkit" in refused.value.hint


async def test_a_network_of_the_deployments_is_joined_beside_ours(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec
) -> None:
    container = await containers.start(asking(spec("Serves", "docker"), network="bridge"))
    networks = engine.api.inspect_container(id_of(container))["NetworkSettings"]["Networks"]
    (own,) = networks.keys() - {"bridge"}
    assert container.address == f"{networks[own]['IPAddress']}:7000"
    assert await ask(container, bytes(8)) == [2]
    for network in networks.values():
        assert containers.is_caller(network["IPAddress"])
        assert containers.is_caller(f"::ffff:{network['IPAddress']}")
    assert not containers.is_caller("127.0.0.1")
    assert not containers.is_caller(networks["bridge"]["Gateway"])


async def test_without_one_there_is_only_ours_which_leads_nowhere(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec
) -> None:
    container = await containers.start(spec("Serves", "docker"))
    networks = engine.api.inspect_container(id_of(container))["NetworkSettings"]["Networks"]
    (name,) = networks
    (ours,) = engine.networks.list(names=[name])
    assert ours.attrs["Internal"]
    assert ours.attrs["Options"]["com.docker.network.bridge.enable_icc"] == "false"


@pytest.mark.parametrize("network", ["no-such-network", "host", "none", "container:x", "brid"])
async def test_a_network_that_is_none_is_named_and_nothing_is_started(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec, network: str, tmp_path: Path
) -> None:
    with pytest.raises(DeployError, match=f"'{network}'"):
        await containers.start(asking(spec("Serves", "docker"), network=network))
    label = f"ai.clipper.instance={instance_id(tmp_path / 'data')}"
    assert not engine.containers.list(all=True, sparse=True, filters={"label": label})


@pytest.fixture
def build(engine: docker.DockerClient, tmp_path: Path) -> Iterator[Build]:
    """Makes an image of a container, as building one for a version does; returns its name."""
    made = []

    def make(version: str, instance: str = "") -> str:
        name = f"fence-{uuid.uuid4().hex[:8]}:{version}"
        instance = instance or instance_id(tmp_path / "data")
        labels = {"ai.clipper.instance": instance, "ai.clipper.built": "1", "version": version}
        source = engine.api.create_container(IMAGE, labels=labels)
        try:
            repository, _, tag = name.partition(":")
            changes = [f'LABEL {key}="{value}"' for key, value in labels.items()]
            engine.api.commit(source["Id"], repository, tag, changes=changes)
        finally:
            engine.api.remove_container(source["Id"])
        made.append(name)
        return name

    yield make
    for name in made:
        if engine.images.list(name):
            engine.images.remove(name)


async def test_images_of_versions_that_are_gone_are_forgotten_and_no_others(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec, build: Build
) -> None:
    kept, gone, used = build("1"), build("2"), build("3")
    foreign = build("4", instance="another")
    wishes = {image: asking(spec("Serves", "docker"), image=image) for image in (kept, used)}
    container = await containers.start(wishes[used])
    await containers.forget([wishes[kept].deployment])
    assert engine.images.list(kept)
    assert engine.images.list(foreign)
    assert engine.images.list(used), "a container has it"
    assert not engine.images.list(gone)
    assert engine.images.get(IMAGE)
    assert await ask(container, bytes(4)) == [1]
    await container.stop(10)
    await containers.forget([wishes[kept].deployment])
    assert not engine.images.list(used)


async def test_a_manager_that_was_never_opened_forgets_nothing(tmp_path: Path) -> None:
    await DockerManager(tmp_path / "data").forget([])

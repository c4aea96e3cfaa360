"""Images with a model's packages: built once, for all who wait, and only while somebody does."""

import asyncio
from dataclasses import replace

import pytest

from clipper.core.errors import DeployError
from clipper.core.types import Deployment
from clipper.deploy.docker.environments import EnvironmentImages
from clipper.deploy.docker.recipe import Recipe
from clipper.deploy.logs import Log

pytestmark = pytest.mark.looptime
PLAIN = Deployment("docker", "sklearn", "/models/m.joblib")
PANDAS = replace(PLAIN, requirements=("pandas>=2",))
BUILD_S = 10


class Output:
    """A log in memory."""

    def __init__(self) -> None:
        self.text = ""

    def append(self, chunk: bytes) -> None:
        self.text += chunk.decode()


class Workshop:
    """An engine's images, and a builder that takes its time."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.built: list[Recipe] = []
        self.ended = 0
        self.fails = ""
        self.images = EnvironmentImages("clipper", "mine", self.is_made_of, self.build)

    async def is_made_of(self, image: str, base: str) -> bool:
        await asyncio.sleep(0.01)
        return image in self.there

    async def build(self, recipe: Recipe, file: Log) -> None:
        self.built.append(recipe)
        try:
            await asyncio.sleep(BUILD_S)
        except asyncio.CancelledError:
            self.ended += 1
            raise
        if self.fails:
            raise DeployError(self.fails)
        file.append(b"done\n")
        self.there.add(recipe.image)

    async def get(self, deployment: Deployment = PANDAS) -> str:
        return await self.images.get(deployment, Output())


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


async def test_an_image_is_built_on_the_frameworks_with_what_was_asked_for(
    workshop: Workshop,
) -> None:
    output = Output()
    image = await workshop.images.get(PANDAS, output)
    (recipe,) = workshop.built
    assert recipe.image == image
    assert recipe.base.startswith("clipper/sklearn-container:")
    assert recipe.requirements == ("pandas>=2",)
    assert recipe.labels == {"ai.clipper.instance": "mine"}
    assert output.text == f"Building the image {image}\ndone\n"


async def test_all_who_want_an_image_at_once_share_one_build(workshop: Workshop) -> None:
    outputs = [Output() for _ in range(3)]
    images = await asyncio.gather(*(workshop.images.get(PANDAS, each) for each in outputs))
    assert len(set(images)) == len(workshop.built) == 1
    assert {each.text for each in outputs} == {f"Building the image {images[0]}\ndone\n"}


async def test_an_image_that_is_there_is_not_built_again_until_its_base_is(
    workshop: Workshop,
) -> None:
    image = await workshop.get()
    assert await workshop.get() == image
    assert len(workshop.built) == 1
    workshop.there.clear()  # what it was built on is no longer what the base's name means
    await workshop.get()
    assert len(workshop.built) == 2


async def test_all_who_wait_learn_that_a_build_failed_and_the_next_one_tries_again(
    workshop: Workshop,
) -> None:
    workshop.fails = "no such package"
    results = await asyncio.gather(workshop.get(), workshop.get(), return_exceptions=True)
    assert [str(result) for result in results] == ["no such package"] * 2
    workshop.fails = ""
    await workshop.get()
    assert len(workshop.built) == 2


async def test_a_build_goes_on_for_who_still_waits_and_ends_with_the_last(
    workshop: Workshop,
) -> None:
    patient = asyncio.ensure_future(workshop.get())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(BUILD_S / 2):
            await workshop.get()
    assert await patient
    workshop.there.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(BUILD_S / 2):
            await workshop.get()
    assert workshop.ended == 1
    assert await workshop.get()


async def test_what_is_no_requirement_is_refused_before_anything_is_done(
    workshop: Workshop,
) -> None:
    with pytest.raises(DeployError, match="not taken") as refused:
        await workshop.get(replace(PLAIN, requirements=("pandas\nRUN id",)))
    assert refused.value.hint
    assert not workshop.built


async def test_needed_are_the_images_of_deployments_and_of_containers_to_come(
    workshop: Workshop,
) -> None:
    image = await workshop.get()
    own = replace(PANDAS, image="mine:1")
    assert workshop.images.needed_by([PANDAS, PLAIN, own])(image)
    assert not workshop.images.needed_by([PANDAS])("mine:1")
    is_needed = workshop.images.needed_by([PLAIN])
    assert not is_needed(image)
    with workshop.images.starting(PANDAS):
        with workshop.images.starting(PANDAS):
            assert is_needed(image), "it was asked for before the start"
        assert is_needed(image)
    assert not is_needed(image)


async def test_models_for_gpus_get_an_image_of_their_own(workshop: Workshop) -> None:
    with_gpus = replace(PANDAS, gpus=("0",))
    assert await workshop.get(with_gpus) != await workshop.get()
    assert workshop.built[0].base.endswith("-cuda")


async def test_closing_ends_what_is_being_built(workshop: Workshop) -> None:
    waiting = asyncio.ensure_future(workshop.get())
    await asyncio.sleep(1)
    await workshop.images.close()
    with pytest.raises(DeployError, match=r"the image .* is not built: .* closed"):
        await waiting
    assert workshop.ended == 1

"""Profiles: what is known of a model's latency survives; a store that fails is no error."""

from collections.abc import AsyncIterator

import pytest

from clipper.abstraction.cache import PredictionCache
from clipper.abstraction.latency import Profile
from clipper.abstraction.layer import Limits, ModelAbstractionLayer, ServedModel
from clipper.core.errors import StateError
from clipper.core.metrics import Metrics
from clipper.core.types import InputType, Model, ModelId
from clipper.serving.profiles import Profiles
from clipper.state.memory import MemoryStore
from clipper.state.store import Cell

pytestmark = pytest.mark.looptime

KNOWN = Profile(0.005, 0.0001, 1.1, 1.3, 200)
OTHER = Profile(1.0, 0.5, 1.1, 1.3, 2)


def served(version: str = "1", profile: Profile | None = None) -> ServedModel:
    metrics = Metrics()
    layer = ModelAbstractionLayer(PredictionCache(0, metrics.cache), Limits(), metrics)
    model = layer.add(Model(ModelId("m", version), InputType.STRINGS))
    model.profile = profile
    return model


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


async def test_another_life_knows_what_this_one_learned(store: MemoryStore) -> None:
    await Profiles(store).save([served("1", KNOWN), served("2", OTHER), served("3")])
    heirs = {version: served(version) for version in ("1", "2", "3")}
    for heir in heirs.values():
        await Profiles(store).recall(heir)
    assert [heir.profile for heir in heirs.values()] == [KNOWN, OTHER, None]


async def test_what_is_learned_later_takes_its_place(store: MemoryStore) -> None:
    profiles = Profiles(store)
    model = served("1", KNOWN)
    await profiles.save([model])
    model.profile = OTHER
    await profiles.save([model])
    heir = served()
    await Profiles(store).recall(heir)
    assert heir.profile == OTHER


async def test_what_is_known_by_now_is_not_replaced_by_what_was_known(store: MemoryStore) -> None:
    await Profiles(store).save([served("1", OTHER)])
    model = served("1", KNOWN)
    await Profiles(store).recall(model)
    assert model.profile == KNOWN


async def test_a_deleted_version_is_forgotten_and_no_other(store: MemoryStore) -> None:
    profiles = Profiles(store)
    await profiles.save([served("1", KNOWN), served("10", KNOWN)])
    await profiles.forget(ModelId("m", "1"))
    heirs = [served("1"), served("10")]
    for heir in heirs:
        await Profiles(store).recall(heir)
    assert [heir.profile for heir in heirs] == [None, KNOWN]
    await profiles.save([served("1", KNOWN)])
    await profiles.recall(heirs[0])
    assert heirs[0].profile == KNOWN, "what is registered again is saved again"


async def test_what_cannot_be_read_is_no_profile(store: MemoryStore) -> None:
    await store.swap("latency/m/1/profile", b"{}", expected=0)
    model = served()
    await Profiles(store).recall(model)
    assert model.profile is None


class BrokenStore(MemoryStore):
    """Nothing works."""

    async def get(self, key: str) -> Cell | None:
        raise StateError

    async def discard(self, prefix: str) -> None:
        raise StateError


async def test_a_store_that_fails_stops_nobody() -> None:
    profiles = Profiles(BrokenStore())
    model = served("1", KNOWN)
    await profiles.save([model])
    await profiles.recall(model)
    await profiles.forget(model.id)
    assert model.profile == KNOWN

"""Typed records over a store: what is written, what is refused."""

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, replace
from types import MappingProxyType
from typing import Any

import pytest

from clipper.core.config import Config
from clipper.core.errors import Conflict, InvalidInput, StateError
from clipper.core.types import Application, Deployment, InputType, Model, ModelId
from clipper.state.memory import MemoryStore
from clipper.state.registry import Registry

APPLICATION = Application("digits", InputType.FLOATS, "-1", 20_000, models=("resnet",))
MODEL = Model(
    ModelId("resnet", "3"),
    InputType.FLOATS,
    labels=("gpu",),
    deployment=Deployment("process", "noop", "/models/resnet", replicas=2),
    registered=5,
)
CONFIG = Config({"digits": APPLICATION}, {MODEL.id: MODEL}, {"resnet": "3"})


class CountingStore(MemoryStore):
    """Remembers what was committed."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[dict[str, bytes | None]] = []

    async def commit(self, changes: Mapping[str, bytes | None], *, expected: int) -> int:
        self.commits.append(dict(changes))
        return await super().commit(changes, expected=expected)


@pytest.fixture
async def store() -> CountingStore:
    store = CountingStore()
    await store.open()
    return store


@pytest.fixture
def registry(store: CountingStore) -> Registry:
    return Registry(store)


async def test_an_empty_store_is_an_empty_configuration(registry: Registry) -> None:
    assert await registry.load() == Config()
    assert await registry.revision() == 0


async def test_what_was_saved_is_loaded(registry: Registry) -> None:
    saved = await registry.save(Config(), CONFIG)
    assert saved == replace(CONFIG, revision=1)
    assert await registry.load() == saved
    assert await registry.revision() == 1


async def test_records_are_json_under_readable_keys(
    registry: Registry, store: CountingStore
) -> None:
    await registry.save(Config(), CONFIG)
    records = (await store.read()).records
    assert sorted(records) == ["app/digits", "current/resnet", "model/resnet/3"]
    assert records["current/resnet"] == b'"3"'
    assert b'"latency_slo_micros":20000' in records["app/digits"]


async def test_only_what_changed_is_written(registry: Registry, store: CountingStore) -> None:
    before = await registry.save(Config(), CONFIG)
    after = Config(before.applications, {}, {"resnet": "4"})
    await registry.save(before, after)
    assert store.commits[1] == {"model/resnet/3": None, "current/resnet": b'"4"'}


async def test_saving_no_change_writes_nothing(registry: Registry, store: CountingStore) -> None:
    before = await registry.save(Config(), CONFIG)
    assert await registry.save(before, CONFIG) == before
    assert len(store.commits) == 1


async def test_saving_over_somebody_elses_change_is_a_conflict(registry: Registry) -> None:
    mine = await registry.load()
    theirs = await registry.save(Config(), CONFIG)
    with pytest.raises(Conflict):
        await registry.save(mine, Config(current={"other": "1"}))
    assert await registry.load() == theirs


def test_a_configuration_cannot_be_changed() -> None:
    given = {"resnet": "3"}
    config = Config(current=given)
    given["resnet"] = "4"
    assert config.current == {"resnet": "3"}
    with pytest.raises(TypeError):
        config.current["resnet"] = "4"  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        config.revision = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("app/digits", b""),
        ("app/digits", b"{"),
        ("app/digits", b"null"),
        ("app/digits", b'"\xff"'),
        ("app/digits", b"[" * 200_000),
        ("app/digits", b'{"name":"digits"}'),
        (
            "app/digits",
            b'{"name":"digits","input_type":"tensors","default_output":"","latency_slo_micros":1}',
        ),
        (
            "app/digits",
            b'{"name":"letters","input_type":"json","default_output":"","latency_slo_micros":1}',
        ),
        (
            "app/digits",
            b'{"name":"digits","input_type":"json","default_output":"","latency_slo_micros":1,'
            b'"quota":5}',
        ),
        (
            "model/m/1",
            b'{"id":["m","1"],"input_type":"json","deployment":'
            b'{"manager":"process","framework":"noop","path":"p","gpu":1}}',
        ),
        ("model/m/1", b'{"id":["m","2"],"input_type":"json"}'),
        ("current/m", b"1"),
        ("quota/digits", b"{}"),
        ("app", b"{}"),
        ("", b"{}"),
    ],
)
async def test_a_record_that_cannot_be_read_is_named(
    registry: Registry, store: CountingStore, key: str, text: bytes
) -> None:
    await registry.save(Config(), CONFIG)
    await store.commit({key: text}, expected=1)
    with pytest.raises(StateError, match=f"the record {key} cannot be read") as caught:
        await registry.load()
    assert caught.value.hint


async def test_a_record_without_the_newer_members_has_their_defaults(
    registry: Registry, store: CountingStore
) -> None:
    await store.commit({"model/m/1": b'{"id":["m","1"],"input_type":"json"}'}, expected=0)
    config = await registry.load()
    assert config.models == {ModelId("m", "1"): Model(ModelId("m", "1"), InputType.JSON)}


@pytest.mark.parametrize(
    "parameter", [float("nan"), float("inf"), b"bytes", (1, 2), {3: 4}, "\ud800", object()]
)
async def test_what_would_come_back_as_something_else_is_not_stored(
    registry: Registry, store: CountingStore, parameter: Any
) -> None:
    application = replace(APPLICATION, policy_params={"x": parameter})
    with pytest.raises(InvalidInput, match="app/digits cannot be stored"):
        await registry.save(Config(), Config({"digits": application}))
    assert await store.revision() == 0


async def test_parameters_may_be_a_mapping_of_any_kind(registry: Registry) -> None:
    application = replace(APPLICATION, policy_params=MappingProxyType({"gamma": 0.1}))
    await registry.save(Config(), Config({"digits": application}))
    assert (await registry.load()).applications == {"digits": application}

"""The catalogue: every change checked in the stated order, durable, and seen by the next query."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from clipper.core.config import Config
from clipper.core.errors import (
    AlreadyExists,
    ClipperError,
    Incompatible,
    InvalidInput,
    StateError,
    UnknownApplication,
    UnknownModel,
)
from clipper.core.types import Application, Deployment, InputType, Model, ModelId
from clipper.selection.exp3 import Exp3
from clipper.serving.catalogue import Catalogue
from clipper.serving.checks import MAX_REPLICAS
from clipper.serving.states import SelectionStates
from clipper.state.memory import Memory, MemoryStore
from clipper.state.registry import Registry
from clipper.state.store import Configuration

STRINGS, FLOATS = InputType.STRINGS, InputType.FLOATS
APP = Application("a", STRINGS, "-1", 20_000)
REGISTERED = replace(APP, registered=1)
EXP3 = replace(APP, policy="exp3")


class SlowStore(MemoryStore):
    """Others get their turn within each call, as with a real store."""

    async def read(self) -> Configuration:
        found = await super().read()
        await asyncio.sleep(0)
        return found

    async def commit(self, changes: Mapping[str, bytes | None], *, expected: int) -> int:
        await asyncio.sleep(0)
        return await super().commit(changes, expected=expected)


class Daemon:
    """A catalogue over a store that others may share."""

    def __init__(self, memory: Memory | None = None) -> None:
        self.store = SlowStore(memory)
        self.states = SelectionStates(self.store)
        self.adopted: list[Config] = []
        registry = Registry(self.store)
        self.catalogue = Catalogue(registry, self.states, self._adopt)

    async def _adopt(self, config: Config) -> None:
        self.adopted.append(config)

    async def open(self) -> Catalogue:
        await self.store.open()
        await self.catalogue.load()
        return self.catalogue


def model(name: str = "m", version: str = "1", **fields: Any) -> Model:
    return Model(ModelId(name, version), fields.pop("input_type", STRINGS), **fields)


def deployed(name: str = "m", version: str = "1", **fields: Any) -> Model:
    return model(name, version, deployment=Deployment("process", "noop", "/m", **fields))


@pytest.fixture
async def daemon() -> Daemon:
    daemon = Daemon()
    await daemon.open()
    return daemon


@pytest.fixture
def catalogue(daemon: Daemon) -> Catalogue:
    return daemon.catalogue


async def refused(call: Any, error: type[ClipperError], message: str) -> ClipperError:
    """The call is refused with exactly this message."""
    with pytest.raises(error) as refusal:
        await call
    assert refusal.value.message == message
    return refusal.value


async def test_before_the_store_was_read_nothing_can_be_changed() -> None:
    daemon = Daemon()
    await daemon.store.open()
    with pytest.raises(StateError, match="The store cannot be reached yet"):
        await daemon.catalogue.add_application(APP)
    with pytest.raises(StateError):
        await daemon.catalogue.add_model(model())


async def test_what_was_acknowledged_is_there_after_a_restart(daemon: Daemon) -> None:
    catalogue = daemon.catalogue
    await catalogue.add_application(APP)
    await catalogue.add_model(model())
    await catalogue.add_model(deployed(version="2"))
    await catalogue.link("a", ["m"])
    await catalogue.set_current(ModelId("m", "1"))
    memory = Memory(*await daemon.store.read())  # type: ignore[arg-type]
    assert (await Daemon(memory).open()).config == catalogue.config


async def test_the_next_query_sees_a_change(daemon: Daemon) -> None:
    await daemon.catalogue.add_application(APP)
    assert daemon.adopted[-1] is daemon.catalogue.config
    assert daemon.adopted[-1].applications == {"a": REGISTERED}


async def test_where_the_store_is_away_nothing_is_changed(daemon: Daemon) -> None:
    await daemon.catalogue.add_application(APP)
    before = daemon.catalogue.config
    await daemon.store.close()
    for call in (
        daemon.catalogue.add_application(replace(APP, name="b")),
        daemon.catalogue.delete_application("a"),
        daemon.catalogue.add_model(model()),
    ):
        with pytest.raises(StateError):
            await call
    assert daemon.catalogue.config is before


# Applications


async def test_an_applications_name_is_unique(catalogue: Catalogue) -> None:
    await catalogue.add_application(APP)
    changed = replace(APP, default_output="0")
    await refused(
        catalogue.add_application(changed), AlreadyExists, "application 'a' already exists"
    )
    assert catalogue.config.applications == {"a": REGISTERED}


async def test_of_two_who_add_the_same_application_at_once_one_wins(catalogue: Catalogue) -> None:
    outcomes = await asyncio.gather(
        *(catalogue.add_application(APP) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [
        "AlreadyExists",
        "AlreadyExists",
        "NoneType",
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "Invalid application name supplied: ''."),
        ({"name": "../x"}, "Invalid application name supplied: '../x'."),
        ({"name": "a/b"}, "Invalid application name supplied: 'a/b'."),
        ({"name": ".a"}, "Invalid application name supplied: '.a'."),
        ({"name": "a\n"}, "Invalid application name supplied: 'a\n'."),
        ({"name": "x" * 300}, f"Invalid application name supplied: '{'x' * 150}'."),
        ({"latency_slo_micros": 0}, "latency_slo_micros is 0; it must be above 0."),
        ({"latency_slo_micros": -5}, "latency_slo_micros is -5; it must be above 0."),
        ({"loss": "hinge"}, "There is no loss 'hinge'."),
        ({"on_overload": "cry"}, "on_overload is 'cry'."),
        ({"confidence_threshold": 1.5}, "confidence_threshold is 1.5; it must be from 0 to 1."),
        ({"policy": "ucb"}, "There is no selection policy 'ucb'."),
        ({"policy": "exp3", "policy_params": {"eta": 0}}, "exp3 got eta=0"),
    ],
)
async def test_an_application_that_cannot_be_is_refused(
    catalogue: Catalogue, fields: dict[str, Any], message: str
) -> None:
    refusal = await refused(
        catalogue.add_application(replace(APP, **fields)), InvalidInput, message
    )
    assert refusal.hint
    assert not catalogue.config.applications


async def test_a_name_may_be_as_long_as_allowed(catalogue: Catalogue) -> None:
    await catalogue.add_application(replace(APP, name="x" * 128))
    assert "x" * 128 in catalogue.config.applications


async def test_a_deleted_application_is_gone_with_its_links(catalogue: Catalogue) -> None:
    await catalogue.add_model(model())
    await catalogue.add_application(APP)
    await catalogue.link("a", ["m"])
    await catalogue.delete_application("a")
    await catalogue.add_application(APP)
    assert catalogue.config.applications["a"].models == ()


async def test_an_application_that_is_not_there_cannot_be_deleted(catalogue: Catalogue) -> None:
    message = "Application 'a' does not exist"
    await refused(catalogue.delete_application("a"), UnknownApplication, message)


async def test_an_application_added_again_has_learned_nothing(daemon: Daemon) -> None:
    policy = Exp3()
    await daemon.catalogue.add_application(EXP3)
    first = daemon.catalogue.config.applications["a"].key
    for context in ("0", "u"):
        await daemon.states.update(first, context, policy, lambda state: state)
    await daemon.catalogue.delete_application("a")
    assert daemon.states.peek(first, "0") is None
    assert await daemon.store.get(f"selection/{first}/0") is None
    await daemon.states.update(first, "u", policy, lambda state: state)  # too late, but possible
    await daemon.catalogue.add_application(EXP3)
    second = daemon.catalogue.config.applications["a"].key
    assert second != first
    assert daemon.states.peek(second, "u") is None
    assert await daemon.store.get(f"selection/{second}/u") is None


# Models


async def test_a_new_version_becomes_current(catalogue: Catalogue) -> None:
    for version in ("1", "3", "2"):
        await catalogue.add_model(model(version=version))
        assert catalogue.config.current == {"m": version}
    assert [found.registered for found in catalogue.config.versions("m")] == [1, 2, 3]


async def test_a_version_is_unique(catalogue: Catalogue) -> None:
    await catalogue.add_model(model())
    await catalogue.add_model(model(version="2"))
    message = "model with name 'm' and version '1' already exists"
    await refused(catalogue.add_model(model(labels=("x",))), AlreadyExists, message)
    assert catalogue.config.current == {"m": "2"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (model(name="a:b"), "Invalid model name supplied: 'a:b'."),
        (model(version=""), "Invalid model version supplied: ''."),
        (
            model(batch_size=0),
            "The batch size must be positive or DEFAULT_BATCH_SIZE, which is -1",
        ),
        (
            model(batch_size=-2),
            "The batch size must be positive or DEFAULT_BATCH_SIZE, which is -1",
        ),
        (deployed(replicas=0), "0 is not a number of replicas"),
        (deployed(replicas=MAX_REPLICAS + 1), "1001 is not a number of replicas"),
    ],
)
async def test_a_model_that_cannot_be_is_refused(
    catalogue: Catalogue, wrong: Model, message: str
) -> None:
    await refused(catalogue.add_model(wrong), InvalidInput, message)
    assert not catalogue.config.models


async def test_a_version_of_a_linked_model_keeps_the_applications_input_type(
    catalogue: Catalogue,
) -> None:
    await catalogue.add_application(APP)
    await catalogue.add_model(model())
    await catalogue.link("a", ["m"])
    with pytest.raises(Incompatible, match="incompatible input_type 'floats'"):
        await catalogue.add_model(model(version="2", input_type=FLOATS))
    assert catalogue.config.current == {"m": "1"}


async def test_a_version_of_a_model_that_nobody_links_may_change_its_input_type(
    catalogue: Catalogue,
) -> None:
    await catalogue.add_model(model())
    await catalogue.add_model(model(version="2", input_type=FLOATS))
    assert catalogue.config.current == {"m": "2"}


async def test_a_deployment_may_attach_to_a_version_that_was_only_registered(
    catalogue: Catalogue,
) -> None:
    await catalogue.add_model(model())
    await catalogue.add_model(deployed(replicas=2))
    (found,) = catalogue.config.models.values()
    assert found.deployment == deployed(replicas=2).deployment
    message = "model with name 'm' and version '1' already exists"
    await refused(catalogue.add_model(deployed()), AlreadyExists, message)


async def test_a_deployment_of_another_input_type_may_not_attach(catalogue: Catalogue) -> None:
    await catalogue.add_model(model(input_type=FLOATS))
    with pytest.raises(Incompatible, match="registered with input type 'floats'"):
        await catalogue.add_model(deployed())


async def test_a_model_is_rolled_back_and_forward(catalogue: Catalogue) -> None:
    for version in ("1", "2"):
        await catalogue.add_model(model(version=version))
    for version in ("1", "2", "2"):
        await catalogue.set_current(ModelId("m", version))
        assert catalogue.config.current == {"m": version}


async def test_a_version_that_is_not_there_cannot_become_current(catalogue: Catalogue) -> None:
    message = "Cannot set version for nonexistent model 'm'"
    await refused(catalogue.set_current(ModelId("m", "1")), UnknownModel, message)
    await catalogue.add_model(model())
    message = "Cannot set non-existent version '2' for model with name 'm'"
    await refused(catalogue.set_current(ModelId("m", "2")), UnknownModel, message)


async def test_a_roll_back_to_another_input_type_is_refused_where_the_model_is_linked(
    catalogue: Catalogue,
) -> None:
    await catalogue.add_model(model(input_type=FLOATS))
    await catalogue.add_model(model(version="2"))
    await catalogue.add_application(APP)
    await catalogue.link("a", ["m"])
    with pytest.raises(Incompatible):
        await catalogue.set_current(ModelId("m", "1"))
    assert catalogue.config.current == {"m": "2"}


async def test_without_the_current_version_the_newest_remaining_serves_and_the_link_stays(
    catalogue: Catalogue,
) -> None:
    await catalogue.add_application(APP)
    for version in ("1", "2", "3"):
        await catalogue.add_model(model(version=version))
    await catalogue.link("a", ["m"])
    await catalogue.delete_model(ModelId("m", "3"))
    assert catalogue.config.current == {"m": "2"}
    await catalogue.delete_model(ModelId("m", "1"))
    assert catalogue.config.current == {"m": "2"}
    await catalogue.delete_model(ModelId("m", "2"))
    assert catalogue.config.current == {}
    assert catalogue.config.applications["a"].models == ("m",)
    await catalogue.add_model(model())
    assert catalogue.config.current == {"m": "1"}


async def test_a_version_that_is_not_there_cannot_be_deleted(catalogue: Catalogue) -> None:
    message = "model with name 'm' and version '1' does not exist"
    await refused(catalogue.delete_model(ModelId("m", "1")), UnknownModel, message)


async def test_a_deployed_version_is_scaled(catalogue: Catalogue) -> None:
    await catalogue.add_model(deployed())
    for replicas in (3, 0, MAX_REPLICAS):
        await catalogue.scale(ModelId("m", "1"), replicas)
        found = catalogue.model(ModelId("m", "1")).deployment
        assert found is not None
        assert found.replicas == replicas
    for replicas in (-1, MAX_REPLICAS + 1):
        message = f"{replicas} is not a number of replicas"
        await refused(catalogue.scale(ModelId("m", "1"), replicas), InvalidInput, message)


async def test_what_has_no_containers_cannot_be_scaled(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownModel):
        await catalogue.scale(ModelId("m", "1"), 2)
    await catalogue.add_model(model())
    with pytest.raises(Incompatible, match="registered without containers"):
        await catalogue.scale(ModelId("m", "1"), 2)


# Links


async def test_a_link_names_the_model(catalogue: Catalogue) -> None:
    await catalogue.add_application(APP)
    await catalogue.add_model(model())
    await catalogue.link("a", ["m"])
    assert catalogue.config.applications["a"].models == ("m",)


NO_APP = "No app with name 'x' exists."
NO_MODEL = "No model with name 'x' exists."
NO_NAME = "Please provide the name of the model that you want to link to the application 'a'"
LINKED = "The model with name 'm' is already linked to 'a'"
OTHER_LINKED = "A model with name m is already linked to 'a'."


@pytest.mark.parametrize(
    ("app", "names", "error", "message"),
    [
        ("x", ["x"], UnknownApplication, NO_APP),
        ("x", [], UnknownApplication, NO_APP),
        ("a", ["x"], UnknownModel, NO_MODEL),
        ("a", ["m", "x"], UnknownModel, NO_MODEL),
        ("a", ["x", "floats"], UnknownModel, NO_MODEL),
        ("a", [], InvalidInput, NO_NAME),
        ("a", ["m"], AlreadyExists, LINKED),
        ("a", ["n"], AlreadyExists, OTHER_LINKED),
    ],
)
async def test_links_are_refused_in_the_old_words(
    catalogue: Catalogue, app: str, names: list[str], error: type[ClipperError], message: str
) -> None:
    await catalogue.add_application(APP)
    for found in (model(), model("n"), model("floats", input_type=FLOATS)):
        await catalogue.add_model(found)
    await catalogue.link("a", ["m"])
    await refused(catalogue.link(app, names), error, message)
    assert catalogue.config.applications["a"].models == ("m",)


async def test_the_input_type_is_checked_before_the_number_of_links(catalogue: Catalogue) -> None:
    await catalogue.add_application(APP)
    for found in (model(), model("n"), model("floats", input_type=FLOATS)):
        await catalogue.add_model(found)
    with pytest.raises(Incompatible, match="'floats' has incompatible input_type 'floats'") as no:
        await catalogue.link("a", ["m", "floats"])
    hint = "Deploy it with --input-type strings, or create the application with floats."
    assert no.value.hint == hint
    with pytest.raises(Incompatible, match=r"^Applications must be linked with at most one model"):
        await catalogue.link("a", ["m", "n"])
    with pytest.raises(Incompatible, match=r"^Applications must be linked with at most one model"):
        await catalogue.link("a", ["m", "m"])


async def test_a_policy_for_several_models_may_be_linked_to_several(catalogue: Catalogue) -> None:
    await catalogue.add_application(EXP3)
    for name in ("m", "n", "o"):
        await catalogue.add_model(model(name))
    await catalogue.link("a", ["m", "n"])
    await catalogue.link("a", ["o"])
    assert catalogue.config.applications["a"].models == ("m", "n", "o")
    message = "The model with name 'n' is already linked to 'a'"
    await refused(catalogue.link("a", ["n"]), AlreadyExists, message)


async def test_one_call_links_a_model_once(catalogue: Catalogue) -> None:
    await catalogue.add_application(EXP3)
    await catalogue.add_model(model())
    await refused(catalogue.link("a", ["m", "m"]), AlreadyExists, LINKED)


async def test_links_are_removed(catalogue: Catalogue) -> None:
    await catalogue.add_application(EXP3)
    for name in ("m", "n"):
        await catalogue.add_model(model(name))
    await catalogue.link("a", ["m", "n"])
    await catalogue.unlink("a", ["m"])
    assert catalogue.config.applications["a"].models == ("n",)
    await refused(catalogue.unlink("x", ["m"]), UnknownApplication, "No app with name x exists.")
    message = "Cannot remove nonexistent link between app a and model m"
    await refused(catalogue.unlink("a", ["n", "m"]), UnknownModel, message)
    assert catalogue.config.applications["a"].models == ("n",)


async def test_a_link_to_a_deleted_model_can_be_removed(catalogue: Catalogue) -> None:
    await catalogue.add_application(APP)
    await catalogue.add_model(model())
    await catalogue.link("a", ["m"])
    await catalogue.delete_model(ModelId("m", "1"))
    await catalogue.unlink("a", ["m"])
    assert catalogue.config.applications["a"].models == ()


# Two daemons over one store


@pytest.fixture
async def pair() -> tuple[Daemon, Daemon]:
    memory = Memory()
    daemons = Daemon(memory), Daemon(memory)
    for daemon in daemons:
        await daemon.open()
    return daemons


async def test_of_two_changes_at_once_both_survive(pair: tuple[Daemon, Daemon]) -> None:
    one, other = pair
    await asyncio.gather(
        *(
            daemon.catalogue.add_application(replace(APP, name=f"{name}{number}"))
            for name, daemon in (("a", one), ("b", other))
            for number in range(10)
        )
    )
    for daemon in pair:
        await daemon.catalogue.load()
        assert len(daemon.catalogue.config.applications) == 20
    assert one.catalogue.config == other.catalogue.config


async def test_of_two_daemons_that_add_the_same_version_one_wins(
    pair: tuple[Daemon, Daemon],
) -> None:
    outcomes = await asyncio.gather(
        *(daemon.catalogue.add_model(model()) for daemon in pair), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyExists", "NoneType"]


async def test_a_change_is_checked_against_what_the_other_daemon_did(
    pair: tuple[Daemon, Daemon],
) -> None:
    one, other = pair
    await one.catalogue.add_application(APP)
    await one.catalogue.add_model(model())
    await other.catalogue.link("a", ["m"])
    with pytest.raises(Incompatible):
        await one.catalogue.add_model(model(version="2", input_type=FLOATS))


async def test_who_adds_what_another_daemon_has_erases_nothing(pair: tuple[Daemon, Daemon]) -> None:
    one, other = pair
    await one.catalogue.add_application(EXP3)
    key = one.catalogue.config.applications["a"].key
    await one.states.update(key, "u", Exp3(), lambda state: state)
    with pytest.raises(AlreadyExists):
        await other.catalogue.add_application(EXP3)
    assert await one.store.get(f"selection/{key}/u") is not None


async def test_what_another_daemon_changed_is_adopted_once(pair: tuple[Daemon, Daemon]) -> None:
    one, other = pair
    await one.catalogue.add_application(APP)
    adopted = len(other.adopted)
    await other.catalogue.load()
    await other.catalogue.load()
    assert other.catalogue.config.applications == {"a": REGISTERED}
    assert len(other.adopted) == adopted + 1


async def test_a_store_that_lost_everything_gets_it_back() -> None:
    memory = Memory()
    daemon = Daemon(memory)
    catalogue = await daemon.open()
    await catalogue.add_application(APP)
    await catalogue.add_model(model())
    memory.records.clear()
    memory.revision = 0
    await catalogue.load()
    restarted = await Daemon(memory).open()
    assert restarted.config.applications == {"a": REGISTERED}
    assert restarted.config.current == {"m": "1"}
    await catalogue.add_application(replace(APP, name="b"))
    assert set(catalogue.config.applications) == {"a", "b"}


async def test_a_version_that_is_to_be_tried_first_does_not_become_current(
    catalogue: Catalogue,
) -> None:
    for version in ("1", "2"):
        await catalogue.add_model(model(version=version), keeps_current=True)
    assert catalogue.config.current == {"m": "1"}, "somebody has to be"
    assert ModelId("m", "2") in catalogue.config.models

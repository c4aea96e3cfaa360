"""The configuration: changed by copies, and a model has a current version while it has any."""

from dataclasses import FrozenInstanceError, replace

import pytest

from clipper.core.config import Config
from clipper.core.types import Application, InputType, Model, ModelId

APP = Application("a", InputType.FLOATS, "0", 20_000)


def model(version: str, registered: int = 0, name: str = "m") -> Model:
    return Model(ModelId(name, version), InputType.FLOATS, registered=registered)


def grown(*versions: str) -> Config:
    """A model's versions in the order of their registration; the last is current."""
    config = Config()
    for version in versions:
        added = model(version, config.next_number())
        config = config.with_model(added).with_current(added.id)
    return config


def test_it_begins_empty() -> None:
    config = Config()
    assert not config.applications
    assert not config.models
    assert not config.current
    assert config.next_number() == 1


def test_a_change_leaves_the_old_one_as_it_was() -> None:
    before = grown("1")
    after = before.with_application(APP).without_model(ModelId("m", "1"))
    assert ModelId("m", "1") in before.models
    assert before.current == {"m": "1"}
    assert not before.applications
    assert after.applications == {"a": APP}


def test_nothing_in_it_can_be_changed_in_place() -> None:
    config = Config({"a": APP})
    with pytest.raises(TypeError):
        config.applications["b"] = APP  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        config.revision = 1  # type: ignore[misc]


def test_what_it_was_made_from_may_change_without_it() -> None:
    applications = {"a": APP}
    config = Config(applications)
    applications.clear()
    assert config.applications == {"a": APP}


def test_versions_are_listed_oldest_registration_first() -> None:
    assert [found.id.version for found in grown("10", "9", "b", "a").versions("m")] == [
        "10",
        "9",
        "b",
        "a",
    ]
    assert grown("1").versions("other") == []


def test_the_next_number_is_above_all_there_are() -> None:
    config = grown("1", "2", "3").without_model(ModelId("m", "1"))
    assert config.next_number() == 4


def test_an_application_is_replaced_and_removed_by_name() -> None:
    linked = replace(APP, models=("m",))
    config = Config().with_application(APP).with_application(linked)
    assert config.applications == {"a": linked}
    assert config.without_application("a").applications == {}
    assert config.without_application("b").applications == {"a": linked}


def test_without_its_current_version_the_newest_remaining_is_current() -> None:
    config = grown("1", "3", "2").without_model(ModelId("m", "2"))
    assert config.current == {"m": "3"}


def test_without_another_version_the_current_one_stays() -> None:
    config = grown("1", "2").without_model(ModelId("m", "1"))
    assert config.current == {"m": "2"}


def test_after_a_roll_back_the_newest_remaining_takes_over_all_the_same() -> None:
    config = grown("1", "2", "3").with_current(ModelId("m", "1"))
    assert config.without_model(ModelId("m", "1")).current == {"m": "3"}


def test_without_its_last_version_a_model_has_no_current_one() -> None:
    other = model("1", 9, "other")
    config = grown("1").with_model(other).with_current(other.id)
    assert config.without_model(ModelId("m", "1")).current == {"other": "1"}

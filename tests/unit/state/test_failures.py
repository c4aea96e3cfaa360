"""How the backends word their failures."""

import pytest

from clipper.core.errors import NewerSchema
from clipper.state.failures import (
    SCHEMA_VERSION,
    cell_changed,
    check_schema,
    configuration_changed,
    not_open,
)


def test_they_name_the_thing_and_the_fix() -> None:
    assert "memory://" in not_open("memory://").message
    assert "revision 7" in configuration_changed(7).message
    assert "'app/user'" in cell_changed("app/user", 3).message
    for error in (not_open("x"), configuration_changed(0), cell_changed("x", 0)):
        assert error.hint


def test_a_schema_of_this_release_or_older_is_fine() -> None:
    check_schema("memory://", SCHEMA_VERSION)
    check_schema("memory://", 0)


def test_a_newer_schema_is_refused() -> None:
    with pytest.raises(NewerSchema, match=f"schema {SCHEMA_VERSION + 1}") as caught:
        check_schema("memory://", SCHEMA_VERSION + 1)
    assert "--store" in caught.value.hint

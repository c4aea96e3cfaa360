"""A client's variables."""

import pytest

from clipper.admin.environment import from_environment


def test_what_is_set_is_found_and_an_empty_variable_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLIPPER_URL", "CLIPPER_QUERY_TOKEN", "CLIPPER_TOKEN", "CLIPPER_ADMIN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLIPPER_QUERY_URL", "")
    assert from_environment() == {}
    monkeypatch.setenv("CLIPPER_ADMIN_TOKEN", "second")
    assert from_environment() == {"token": "second"}
    monkeypatch.setenv("CLIPPER_TOKEN", "first")
    assert from_environment() == {"token": "first"}

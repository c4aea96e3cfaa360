"""Which store a URL means, and what is said where it means none."""

import pytest

from clipper.core.errors import SettingsError
from clipper.state.memory import MemoryStore
from clipper.state.opening import open_store
from clipper.state.redis import RedisStore
from clipper.state.sqlite import SqliteStore


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        ("sqlite:////var/lib/clipper.db", SqliteStore, "sqlite:////var/lib/clipper.db"),
        ("sqlite:///var/lib/clipper.db", SqliteStore, "sqlite:////var/lib/clipper.db"),
        ("sqlite:///a b/%20?#.db", SqliteStore, "sqlite:////a b/%20?#.db"),
        ("redis://cache.example", RedisStore, "redis://cache.example"),
        ("redis://ada:s3cret@[::1]:7000/4", RedisStore, "redis://ada@[::1]:7000/4"),
        ("rediss://:s3cret@h?ssl_cert_reqs=none", RedisStore, "rediss://h"),
        ("memory://", MemoryStore, "memory://"),
    ],
)
def test_the_scheme_says_which_store(url: str, kind: type, shown: str) -> None:
    store = open_store(url)
    assert type(store) is kind
    assert store.url == shown


@pytest.mark.parametrize(
    "url", ["", "clipper.db", "/var/lib/clipper.db", "sqlite:clipper.db", "mysql://u:s3cret@h"]
)
def test_any_other_url_is_refused_with_the_choices(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(url)
    for choice in ("sqlite:///", "redis://", "rediss://", "memory://"):
        assert choice in caught.value.hint
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite://clipper.db",
        "sqlite:///:memory:",
        "sqlite:///a\0b",
        "sqlite:///var/lib/",
    ],
)
def test_a_sqlite_url_names_a_file_by_an_absolute_path(url: str) -> None:
    with pytest.raises(SettingsError, match="absolute path"):
        open_store(url)


async def test_every_memory_store_is_its_own() -> None:
    one, other = open_store("memory://"), open_store("memory://")
    await one.open()
    await other.open()
    await one.commit({"a": b"1"}, expected=0)
    assert await other.revision() == 0

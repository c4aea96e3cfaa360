"""The file of the SQLite store: who may read it, and how it is kept."""

import asyncio
import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from clipper.core.errors import StateError
from clipper.state.sqlite import SqliteStore


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file in directories that are not there yet."""
    return tmp_path / "deep" / "down" / "clipper.db"


@pytest.fixture
def existing(tmp_path: Path) -> Path:
    path = tmp_path / "clipper.db"
    path.touch(mode=0o640)
    return path


async def test_what_it_creates_is_for_this_user_only(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await store.commit({"a": b"1"}, expected=0)
    assert mode(path.parent) == mode(path.parent.parent) == 0o700
    assert {mode(file) for file in path.parent.iterdir()} == {0o600}
    await store.close()


async def test_what_is_there_keeps_its_mode(existing: Path) -> None:
    before = mode(existing.parent), mode(existing)
    store = SqliteStore(existing)
    await store.open()
    await store.close()
    assert (mode(existing.parent), mode(existing)) == before


async def test_the_file_is_in_wal_mode_and_carries_schema_and_owner(path: Path) -> None:
    store = SqliteStore(str(path))
    await store.open()
    await store.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert file.execute("PRAGMA user_version").fetchone() == (1,)
        assert file.execute("PRAGMA application_id").fetchone() == (0x436C7072,)
    assert [entry.name for entry in path.parent.iterdir()] == ["clipper.db"]


async def test_closing_ends_its_thread(path: Path) -> None:
    before = set(threading.enumerate())
    store = SqliteStore(path)
    await store.open()
    (thread,) = set(threading.enumerate()) - before
    await store.close()
    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()


async def test_a_handle_that_could_not_be_opened_opens_later(existing: Path) -> None:
    os.truncate(existing, 10_000)
    store = SqliteStore(existing)
    for _ in range(2):
        with pytest.raises(StateError, match="no SQLite database"):
            await store.open()
        with pytest.raises(StateError, match="is not open"):
            await store.revision()
    os.truncate(existing, 0)
    await store.open()
    assert await store.revision() == 0
    await store.close()


async def test_the_url_names_the_file(path: Path) -> None:
    assert SqliteStore(path).url == f"sqlite:///{path}"

"""What the SQLite store does about damaged files, full disks, and places it may not write to."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import clipper
from clipper.core.errors import NewerSchema, StateError
from clipper.state.sqlite import SqliteStore
from clipper.state.store import Store

ROOT = Path(clipper.__file__).parent.parent

# Fills a small filesystem until it is refused, then carries on when there is room again.
FILLER = """
import asyncio, os, sys
from clipper.core.errors import StateError
from clipper.state.sqlite import SqliteStore

async def fill(folder):
    ballast = os.path.join(folder, "ballast")
    with open(ballast, "wb") as file:
        file.write(bytes(300_000))
    store = SqliteStore(os.path.join(folder, "clipper.db"))
    await store.open()
    written = 0
    try:
        for written in range(100):
            await store.swap(f"{written}", bytes(20_000), expected=0)
        raise SystemExit("the disk never filled up")
    except StateError as error:
        print(error.message, "|", error.hint)
    for cell in range(written):
        assert (await store.get(f"{cell}")).value == bytes(20_000), cell
    assert await store.get(f"{written}") is None
    os.remove(ballast)
    await store.swap(f"{written}", bytes(20_000), expected=0)
    await store.close()
    await store.open()
    assert (await store.get(f"{written}")).version == 1
    await store.close()

asyncio.run(fill(sys.argv[1]))
"""

OPENER = """
import asyncio, os, sys
from clipper.core.errors import StateError
from clipper.state.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    try:
        await store.open()
        print("opened")
    except StateError as error:
        print(error.message, "|", error.hint)
    await store.close()

asyncio.run(main())
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """A command line that runs a shell script where a filesystem of 1 MB is mounted on $DISK."""
    sandbox = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    mount = f'DISK={tmp_path}; mount -t tmpfs -o size=1m small "$DISK"; '
    try:
        subprocess.run([*sandbox, mount + "true"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"mount: no filesystem can be mounted here ({error})")
    return [*sandbox, mount]


def run_on(small_disk: list[str], script: str, *programs: str) -> str:
    """Run the shell script, with $1, $2 ... the programs' text; returns what it printed."""
    *sandbox, mount = small_disk
    command = [*sandbox, mount + f'PY="{sys.executable} -c"; ' + script, "sh", *programs]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def closed_store_with_records(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    for number in range(50):
        await store.commit({f"app/{number}": bytes(1000)}, expected=number)
    await store.close()


async def fault_of(store: Store) -> StateError:
    """The error that opening and reading it ends with."""
    try:
        await store.open()
        await store.read()
        pytest.fail("the store was read")
    except StateError as error:
        return error
    finally:
        await store.close()


async def test_garbage_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "clipper.db"
    path.write_bytes(b"this is not a database " * 1000)
    before = path.read_bytes()
    error = await fault_of(SqliteStore(path))
    assert str(path) in error.message
    assert "no SQLite database" in error.message
    assert "backup" in error.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut off", "overwritten"])
async def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "clipper.db"
    await closed_store_with_records(path)
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + (b"\xa5" * half if damage == "overwritten" else b""))
    error = await fault_of(SqliteStore(path))
    assert "is damaged" in error.message
    assert "backup" in error.hint


async def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    error = await fault_of(SqliteStore(path))
    assert "another program's database" in error.message
    assert path.read_bytes() == before


async def test_a_file_of_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "clipper.db"
    await closed_store_with_records(path)
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 2")
    error = await fault_of(SqliteStore(path))
    assert isinstance(error, NewerSchema)
    assert "schema 2" in error.message
    with contextlib.closing(sqlite3.connect(path)) as newer:
        assert newer.execute("PRAGMA user_version").fetchone() == (2,)


@pytest.mark.parametrize("path", ["/proc/clipper/clipper.db", "/dev/null/clipper.db", "/proc"])
async def test_a_place_where_nothing_can_be_created_is_named(path: str) -> None:
    error = await fault_of(SqliteStore(path))
    assert path in error.message
    assert "write access" in error.hint


async def test_a_locked_file_is_an_error_and_usable_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipper.state.sqlite.BUSY_TIMEOUT_S", 0.2)
    store = SqliteStore(tmp_path / "clipper.db")
    await store.open()
    with contextlib.closing(sqlite3.connect(tmp_path / "clipper.db", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match="locked by another process"):
            await store.commit({"a": b"1"}, expected=0)
        assert await store.read() == (0, {})  # readers are not held up
    assert await store.commit({"a": b"1"}, expected=0) == 1
    await store.close()


async def test_a_file_that_is_taken_away_is_an_error_until_it_is_back(tmp_path: Path) -> None:
    file, aside = tmp_path / "clipper.db", tmp_path / "aside.db"
    store = SqliteStore(file)
    await store.open()
    assert await store.commit({"a": b"1"}, expected=0) == 1
    file.rename(aside)
    with pytest.raises(StateError, match="moved, deleted or replaced") as error:
        await store.commit({"a": b"2"}, expected=1)
    assert "Put the file back" in error.value.hint
    file.write_bytes(aside.read_bytes())
    with pytest.raises(StateError, match="moved, deleted or replaced"):
        await store.revision()
    aside.rename(file)
    assert await store.commit({"a": b"2"}, expected=1) == 2
    await store.close()


def test_a_full_disk_is_an_error_that_loses_nothing_and_passes(small_disk: list[str]) -> None:
    said = run_on(small_disk, '$PY "$1" "$DISK"', FILLER)
    assert "disk is full" in said
    assert "Free space" in said


def test_a_read_only_filesystem_is_named(small_disk: list[str]) -> None:
    script = """
    $PY "$1" "$DISK/clipper.db"
    mount -o remount,ro "$DISK"
    $PY "$1" "$DISK/clipper.db"; $PY "$1" "$DISK/new/clipper.db"
    """
    first, existing, new = run_on(small_disk, script, OPENER).splitlines()
    assert first == "opened"
    assert "write access" in existing
    assert "Read-only file system" in new
    assert "write access" in new

"""A store in one SQLite file, the default: for one daemon, or several processes of one machine.

The file is in WAL mode with synchronous=FULL: a commit returns once its log record is on the disk.
SQLite blocks, so that one thread owns the connection and works off the calls in their order; a
caller that is cancelled meanwhile leaves its call to finish. Keys are stored as bytes, which
orders them by code point and takes any text.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from clipper.core.errors import StateError
from clipper.state.failures import (
    SCHEMA_VERSION,
    cell_changed,
    check_schema,
    configuration_changed,
    not_open,
)
from clipper.state.store import CHANGES_KEPT, NOW, Cell, Changes, Configuration

T = TypeVar("T")

BUSY_TIMEOUT_S = 5.0
APPLICATION_ID = 0x436C7072  # "Clpr", in the file's header: tells our files from others'

_SCHEMA = (
    "CREATE TABLE revision (number INTEGER NOT NULL)",
    "INSERT INTO revision VALUES (0)",
    "CREATE TABLE configuration (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE cells (key BLOB PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL)",
    "CREATE TABLE counters (name BLOB PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_SWAPPED = (
    "CREATE TABLE IF NOT EXISTS swapped"
    " (key BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS swapped_by_number ON swapped (number)",
)
_SWAPS = "swaps"
"""The counter of all swaps."""
TRIM_EVERY = 1000

_FAULTS = {
    sqlite3.SQLITE_NOTADB: (
        "is no SQLite database, or is damaged",
        "Restore it from a backup, or move it away to start empty.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "is damaged",
        "Restore it from a backup, or move it away (with its -wal and -shm) to start empty.",
    ),
    sqlite3.SQLITE_FULL: (
        "cannot grow: the disk is full",
        "Free space on its filesystem; nothing of this change was written.",
    ),
    sqlite3.SQLITE_READONLY: (
        "is read-only",
        "Give the daemon's user write access to the file and its directory.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        "Give the daemon's user write access to the file and its directory.",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written",
        "Look at the health and the free space of its disk.",
    ),
    sqlite3.SQLITE_BUSY: (
        f"was locked by another process for {BUSY_TIMEOUT_S:g} s",
        "End what holds the lock: a backup, a shell, another daemon.",
    ),
}


class SqliteStore:
    """A handle on the file; its connection belongs to its one thread."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self.url = f"sqlite:///{self._path}"
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        """Which file the connection has open."""

    async def open(self) -> None:
        """Create the file and its directory (for this user only) where they are missing.

        Raises:
            NewerSchema: a newer release wrote it.
            StateError: it cannot be created, read or written, or is no store.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="clipper-sqlite")
        await self._run(self._connect)

    async def close(self) -> None:
        """Let go of the file once the calls before this one are done."""
        thread, self._thread = self._thread, None
        if thread is not None:
            done = thread.submit(self._disconnect)
            thread.shutdown(wait=False)
            await asyncio.wrap_future(done)

    async def revision(self) -> int:
        """The configuration's revision; 0 when nothing was ever written."""
        return await self._call(_revision)

    async def read(self) -> Configuration:
        """All configuration, consistent."""
        return await self._call(_read)

    async def commit(self, changes: Mapping[str, bytes | None], *, expected: int) -> int:
        """Write (or with None, delete) records in one transaction; returns the new revision.

        Raises:
            Conflict: the revision is not the expected one; nothing was written.
        """
        changes = dict(changes)
        return await self._call(lambda db: _commit(db, changes, expected))

    async def get(self, key: str) -> Cell | None:
        """One cell, or None."""
        return await self._call(lambda db: _get(db, key))

    async def swap(self, key: str, value: bytes, *, expected: int) -> int:
        """Write a cell whose version is the expected one (0: absent); returns its new version.

        Raises:
            Conflict: it has another version; nothing was written.
        """
        return await self._call(lambda db: _swap(db, key, value, expected))

    async def changes(self, since: int) -> Changes:
        """Which cells were swapped since that position."""
        return await self._call(lambda db: _changes(db, since))

    async def discard(self, prefix: str) -> None:
        """Delete every cell whose key starts with the prefix."""
        await self._call(lambda db: _discard(db, prefix))

    async def reserve(self, counter: str, count: int) -> int:
        """The first of `count` integers that nobody else was or will be given; starts at 0."""
        return await self._call(lambda db: _reserve(db, counter, count))

    async def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def on_connection() -> T:
            if self._connection is None:
                raise not_open(self.url)
            self._check_file_is_there()
            return work(self._connection)

        return await self._run(on_connection)

    def _check_file_is_there(self) -> None:
        """SQLite would go on with a file that was deleted, and lose what is written to it."""
        if _identity(self._path) != self._opened:
            raise StateError(
                f"the store {self.url} was moved, deleted or replaced while in use",
                hint="Put the file back with its -wal and -shm, or restart to use what is there.",
            )

    async def _run(self, work: Callable[[], T]) -> T:
        """Do the work in the thread, and translate what SQLite and the filesystem raise."""
        if self._thread is None:
            raise not_open(self.url)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise self._fault(error) from error
        except OSError as error:
            raise StateError(
                f"the store {self.url} cannot be created: {error.strerror}: {error.filename}",
                hint="Give the daemon's user write access there, or name another --store.",
            ) from error

    def _fault(self, error: sqlite3.Error) -> StateError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest is detail
        what, hint = _FAULTS.get(code, ("cannot be used", "See the cause."))
        return StateError(f"the store {self.url} {what} ({error})", hint=hint)

    def _connect(self) -> None:
        if self._connection is not None:
            return
        _create_private(self._path)
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            _prepare(connection, self.url)
        except BaseException:
            connection.close()
            raise
        self._connection, self._opened = connection, _identity(self._path)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _identity(path: Path) -> tuple[int, int] | None:
    """The device and the number of a file, if it is there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _create_private(path: Path) -> None:
    """Create what is missing, so that only this user can read it."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    # Never opened if it is there: closing it again would drop this process's locks on it.
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _prepare(db: sqlite3.Connection, url: str) -> None:
    """Check whose file it is before changing it, then make it ours where it is new."""
    _check_file(db, url)
    _use_wal(db)
    db.execute("PRAGMA synchronous = FULL")
    with db:
        db.execute("BEGIN IMMEDIATE")  # fails where the file cannot be written
        if _schema_version(db) == 0:
            for statement in _SCHEMA:
                db.execute(statement)
        for statement in _SWAPPED:  # an earlier release did without
            db.execute(statement)


def _use_wal(db: sqlite3.Connection) -> None:
    """Wait here where another process does the same: SQLite's busy timeout does not cover it."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _check_file(db: sqlite3.Connection, url: str) -> None:
    with db:
        db.execute("BEGIN")  # another daemon may be creating it right now
        application_id = db.execute("PRAGMA application_id").fetchone()[0]
        empty = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if application_id != APPLICATION_ID and not empty:
        raise StateError(
            f"the store {url} is another program's database", hint="Name another --store."
        )
    check_schema(url, _schema_version(db))


def _schema_version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def _key(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")


def _revision(db: sqlite3.Connection) -> int:
    number: int = db.execute("SELECT number FROM revision").fetchone()[0]
    return number


def _read(db: sqlite3.Connection) -> Configuration:
    with db:
        db.execute("BEGIN")
        rows = db.execute("SELECT key, value FROM configuration").fetchall()
        records = {_text(key): value for key, value in rows}
        return Configuration(_revision(db), MappingProxyType(records))


def _commit(db: sqlite3.Connection, changes: Mapping[str, bytes | None], expected: int) -> int:
    written = [(_key(key), value) for key, value in changes.items() if value is not None]
    deleted = [(_key(key),) for key, value in changes.items() if value is None]
    with db:
        db.execute("BEGIN IMMEDIATE")
        if _revision(db) != expected:
            raise configuration_changed(expected)
        db.executemany("REPLACE INTO configuration VALUES (?, ?)", written)
        db.executemany("DELETE FROM configuration WHERE key = ?", deleted)
        db.execute("UPDATE revision SET number = ?", (expected + 1,))
    return expected + 1


def _get(db: sqlite3.Connection, key: str) -> Cell | None:
    row = db.execute("SELECT value, version FROM cells WHERE key = ?", (_key(key),)).fetchone()
    return row and Cell(*row)


def _swap(db: sqlite3.Connection, key: str, value: bytes, expected: int) -> int:
    if expected == 0:
        statement = "INSERT OR IGNORE INTO cells (key, value, version) VALUES (?, ?, 1)"
        values: tuple[object, ...] = (_key(key), value)
    else:
        statement = "UPDATE cells SET value = ?, version = ? WHERE key = ? AND version = ?"
        values = (value, expected + 1, _key(key), expected)
    with db:
        db.execute("BEGIN IMMEDIATE")
        if db.execute(statement, values).rowcount != 1:
            raise cell_changed(key, expected)
        number = _reserve(db, _SWAPS, 1) + 1
        db.execute("REPLACE INTO swapped VALUES (?, ?)", (_key(key), number))
        if number % TRIM_EVERY == 0:
            db.execute("DELETE FROM swapped WHERE number <= ?", (number - CHANGES_KEPT,))
    return expected + 1


def _changes(db: sqlite3.Connection, since: int) -> Changes:
    with db:
        db.execute("BEGIN")
        row = db.execute("SELECT next FROM counters WHERE name = ?", (_key(_SWAPS),)).fetchone()
        position = row[0] if row else 0
        if since in (NOW, position):
            return Changes(position, {})
        if not position - CHANGES_KEPT <= since <= position:
            return Changes(position, None)
        rows = db.execute(
            "SELECT key, version FROM swapped JOIN cells USING (key) WHERE number > ?", (since,)
        ).fetchall()
    return Changes(position, {_text(key): version for key, version in rows})


def _discard(db: sqlite3.Connection, prefix: str) -> None:
    # 0xff is in no text, so that the range holds exactly the keys that start with the prefix.
    db.execute(
        "DELETE FROM cells WHERE key >= ? AND key < ?", (_key(prefix), _key(prefix) + b"\xff")
    )


def _reserve(db: sqlite3.Connection, counter: str, count: int) -> int:
    row = db.execute(
        "INSERT INTO counters VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET next = next + excluded.next RETURNING next",
        (_key(counter), count),
    ).fetchall()
    following: int = row[0][0]
    return following - count

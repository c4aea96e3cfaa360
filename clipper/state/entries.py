"""A bounded file of entries, the newest of which are there after a restart.

Opaque bytes are appended, each behind its length. There are two files: once the newer one has half
of what is kept, it becomes the older, whose entries go. What was handed over reaches the operating
system with the next `append`; nothing waits for the disk, as the entries are worth no more than
that.
"""

import struct
from collections.abc import Iterable
from pathlib import Path

LENGTH = struct.Struct("<I")
MOST_BYTES = 64 * 1024 * 1024
"""Of one file, whatever the number of its entries."""


class EntryFile:
    """Up to about `capacity` entries at a path; not for two processes at once."""

    def __init__(self, path: Path, capacity: int) -> None:
        self._path = path
        self._older = path.with_name(f"{path.name}.old")
        self._half = max(1, capacity // 2)
        self._count = 0
        self._bytes = 0

    def read(self) -> list[bytes]:
        """All entries, the oldest first; what was cut off in the middle is none.

        Raises:
            OSError: a file is there and cannot be read.
        """
        older, newer = (list(_entries(path)) for path in (self._older, self._path))
        self._count = len(newer)
        self._bytes = sum(map(len, newer))
        return older + newer

    def remove(self) -> None:
        """There are no entries any more.

        Raises:
            OSError: there are.
        """
        for path in (self._older, self._path):
            path.unlink(missing_ok=True)
        self._count = self._bytes = 0

    def append(self, entries: Iterable[bytes]) -> None:
        """Write entries; blocks for as long as the operating system takes.

        Raises:
            OSError: they cannot be written.
        """
        data = bytearray()
        for entry in entries:
            data += LENGTH.pack(len(entry)) + entry
            self._count += 1
        self._bytes += len(data)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(data)
        if self._count >= self._half or self._bytes >= MOST_BYTES:
            self._path.replace(self._older)
            self._count = self._bytes = 0


def _entries(path: Path) -> Iterable[bytes]:
    if not path.exists():
        return
    data = path.read_bytes()
    place = 0
    while place + LENGTH.size <= len(data):
        (length,) = LENGTH.unpack_from(data, place)
        entry = data[place + LENGTH.size : place + LENGTH.size + length]
        if len(entry) < length:
            return
        yield entry
        place += LENGTH.size + length

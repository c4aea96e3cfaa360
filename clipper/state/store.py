"""The store: where everything acknowledged is kept.

Two kinds of facts, both opaque bytes here. *Configuration* is small, read whole, and changed in
transactions under one revision number, so that two daemons that change it at once cannot both win.
*Cells* are many (selection states, one per application and context), each read and swapped alone.
A call returns once its effect survives a crash of the daemon.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Configuration(NamedTuple):
    """All configuration records at one revision."""

    revision: int
    records: Mapping[str, bytes]


class Cell(NamedTuple):
    """A value and the version to name when replacing it; versions start at 1."""

    value: bytes
    version: int


class Changes(NamedTuple):
    """Which cells were swapped since some earlier look, by whomever."""

    position: int
    """For the next look to begin at."""
    versions: Mapping[str, int] | None
    """The versions that they have now, by key; None where it was too long ago to tell."""


CHANGES_KEPT = 10_000
"""Swaps of which it is told; who has missed more is to forget all it knew."""
NOW = -1
"""The position of who wants to be told of later changes only."""


class Store(Protocol):
    """What every backend offers. All calls raise StateError where the backend fails."""

    url: str
    """Where it is, without any password."""

    async def open(self) -> None:
        """Connect, and create or check the schema.

        Raises:
            NewerSchema: a newer release wrote it.
        """

    async def close(self) -> None:
        """Let go of it; may be called at any time, and twice."""

    async def revision(self) -> int:
        """The configuration's revision; 0 when nothing was ever written."""

    async def read(self) -> Configuration:
        """All configuration, consistent."""

    async def commit(self, changes: Mapping[str, bytes | None], *, expected: int) -> int:
        """Write (or with None, delete) records in one transaction; returns the new revision.

        Raises:
            Conflict: the revision is not the expected one; nothing was written.
        """

    async def get(self, key: str) -> Cell | None:
        """One cell, or None."""

    async def swap(self, key: str, value: bytes, *, expected: int) -> int:
        """Write a cell whose version is the expected one (0: absent); returns its new version.

        Raises:
            Conflict: it has another version; nothing was written.
        """

    async def changes(self, since: int) -> Changes:
        """Which cells were swapped since that position, an earlier one's or NOW."""

    async def discard(self, prefix: str) -> None:
        """Delete every cell whose key starts with the prefix."""

    async def reserve(self, counter: str, count: int) -> int:
        """The first of `count` integers that nobody else was or will be given; starts at 0."""

"""Models that clients send: kept by what they contain, for as long as a version needs them.

A client of another machine, or one with a model in memory, has no path to name. It sends a zip
archive in parts, each no larger than any other request, and gets the path under which the daemon
has unpacked it. The name of a package is its SHA-256, so what is there need not be sent again.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from weakref import WeakValueDictionary

from clipper.core.clock import utc_now
from clipper.core.errors import Incompatible, InvalidInput, UnknownPackage
from clipper.core.types import Deployment
from clipper.deploy.archives import extract

KEPT_S = 2 * 3600.0
"""A package, or a part of one, that no version is served from is kept so long: a deploy follows."""
SPARE_BYTES = 256 << 20
"""Left free on the disk, which others write to as well."""
DIGEST = re.compile(r"[0-9a-f]{64}\Z")

log = logging.getLogger(__name__)


class Packages:
    """A folder of packages; its methods leave the event loop alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def size(self, digest: str) -> int:
        """How many bytes of an archive have come in; 0 where none have."""
        return await asyncio.to_thread(_size, self._draft(digest))

    async def append(self, digest: str, offset: int, part: bytes) -> int:
        """Add a part to an archive; returns how much of it is there now.

        Raises:
            Incompatible: it does not go on where the last part ended.
            InvalidInput: it cannot be stored.
        """
        draft = self._draft(digest)
        async with self._alone(digest):
            return await asyncio.to_thread(_append, draft, offset, part)

    async def unpack(self, digest: str) -> Path:
        """The model of a package, unpacked now if it was not before.

        Raises:
            UnknownPackage: it is not here, or not whole.
            InvalidInput: it is no archive of one file or folder, or cannot be stored.
        """
        draft = self._draft(digest)
        async with self._alone(digest):
            return await asyncio.to_thread(_unpack, draft, self._folder / digest)

    async def forget(self, needed: Callable[[], Collection[Deployment]]) -> None:
        """Remove what none of those that are needed is served from, unless it is new.

        They are asked for anew before each removal, in a thread.
        """
        await asyncio.to_thread(_forget, self._folder, needed)

    def _alone(self, digest: str) -> asyncio.Lock:
        """One package is changed by one at a time; others do not wait for it."""
        lock = self._locks.get(digest)
        if lock is None:
            lock = self._locks[digest] = asyncio.Lock()
        return lock

    def _draft(self, digest: str) -> Path:
        if not DIGEST.match(digest):
            raise InvalidInput(
                f"{digest[:80]!r} is no package.", hint="It is named by its SHA-256, in hex."
            )
        return self._folder / f"{digest}.zip"


def _size(draft: Path) -> int:
    try:
        return draft.stat().st_size
    except OSError:
        return 0


def _append(draft: Path, offset: int, part: bytes) -> int:
    with _storing(draft):
        draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_room(draft, len(part))
        with draft.open("ab") as file:
            there = file.tell()
            if offset != there:
                raise Incompatible(
                    f"A part begins at byte {offset}, and {there} bytes are there.",
                    hint="Go on from there; two clients may be sending the same model.",
                )
            file.write(part)
            return file.tell()


def _unpack(draft: Path, place: Path) -> Path:
    if place.is_dir():
        os.utime(place)
        return _content(place)
    with _storing(draft):
        if not draft.is_file():
            raise UnknownPackage(f"There is no package {place.name}.", hint="Send it first.")
        if _digest(draft) != place.name:
            draft.unlink()
            raise UnknownPackage(
                f"What was sent as the package {place.name} has another SHA-256.",
                hint="Send it again, from the beginning.",
            )
        unpacked = place.with_name(f"{place.name}.unpacked")
        shutil.rmtree(unpacked, ignore_errors=True)
        try:
            extract(draft, unpacked, lambda size: _check_room(draft, size))
            unpacked.rename(place)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
            draft.unlink()
    log.info("Package %s is here", place.name, extra={"action": "package_unpacked"})
    return _content(place)


def _content(place: Path) -> Path:
    return next(place.iterdir())


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_room(draft: Path, wanted_bytes: int) -> None:
    free = shutil.disk_usage(draft.parent).free
    if wanted_bytes + SPARE_BYTES > free:
        raise InvalidInput(
            f"The package needs {wanted_bytes >> 20} MiB more, and {free >> 20} MiB are free in "
            f"{draft.parent}.",
            hint="Free disk space, or give the daemon another --data-dir.",
        )


def _forget(folder: Path, needed: Callable[[], Collection[Deployment]]) -> None:
    for entry in list(folder.iterdir()) if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            is_new = utc_now() - entry.stat().st_mtime < KEPT_S
            if is_new or entry.name in _parts(needed()):
                continue
            # In one step: who looks for it from now on finds it whole or not at all.
            gone = entry.rename(entry.with_name(f"{entry.name}.removed"))
            log.info("Package %s is removed", entry.name, extra={"action": "package_removed"})
            if gone.is_dir():
                shutil.rmtree(gone, ignore_errors=True)
            else:
                gone.unlink()


def _parts(deployments: Collection[Deployment]) -> set[str]:
    paths = [path for one in deployments for path in (one.path, one.model_data)]
    return {part for path in paths for part in Path(path).parts}


@contextlib.contextmanager
def _storing(draft: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(
            f"The package cannot be stored in {draft.parent}: {error.strerror}.",
            hint="Free disk space, or have its data directory writable for the daemon.",
        ) from error

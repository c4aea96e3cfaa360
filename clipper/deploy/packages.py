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
import stat
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

from clipper.core.clock import utc_now
from clipper.core.errors import Incompatible, InvalidInput, UnknownPackage
from clipper.core.types import Deployment

KEPT_S = 2 * 3600.0
"""A package, or a part of one, that no version is served from is kept so long: a deploy follows."""
CHUNK_BYTES = 1 << 20
DIGEST = re.compile(r"[0-9a-f]{64}\Z")

log = logging.getLogger(__name__)


class Packages:
    """A folder of packages; its methods leave the event loop alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changing = asyncio.Lock()

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
        async with self._changing:
            return await asyncio.to_thread(_append, draft, offset, part)

    async def unpack(self, digest: str) -> Path:
        """The model of a package, unpacked now if it was not before.

        Raises:
            UnknownPackage: it is not here, or not whole.
            InvalidInput: it is no archive of one file or folder, or cannot be stored.
        """
        draft = self._draft(digest)
        async with self._changing:
            return await asyncio.to_thread(_unpack, draft, self._folder / digest)

    async def forget(self, deployments: Collection[Deployment]) -> None:
        """Remove what none of these is served from, unless it is new."""
        paths = [path for one in deployments for path in (one.path, one.model_data)]
        async with self._changing:
            await asyncio.to_thread(_forget, self._folder, paths)

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
            _extract(draft, unpacked)
            _content(unpacked)
            unpacked.rename(place)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
            draft.unlink()
    log.info("Package %s is here", place.name, extra={"action": "package_unpacked"})
    return _content(place)


def _content(place: Path) -> Path:
    found = list(place.iterdir())
    if len(found) != 1:
        raise InvalidInput(
            f"A package holds one file or one folder; this one has {len(found)}.",
            hint="Pack the model's file or folder as the only thing in it.",
        )
    return found[0]


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _extract(archive: Path, place: Path) -> None:
    """Unpack; zipfile itself keeps whatever a name says within the folder, and makes no links."""
    try:
        with zipfile.ZipFile(archive) as members:
            for member in members.infolist():
                path = Path(members.extract(member, place))
                is_program = member.external_attr >> 16 & stat.S_IXUSR
                path.chmod(0o755 if is_program or member.is_dir() else 0o644)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InvalidInput(f"The package cannot be unpacked: {error}.") from error
    for folder, _, _ in os.walk(place):
        os.chmod(folder, 0o755)  # containers read it as another user


def _forget(folder: Path, paths: Collection[str]) -> None:
    used = {part for path in paths for part in Path(path).parts}
    for entry in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            if entry.name in used or utc_now() - entry.stat().st_mtime < KEPT_S:
                continue
            log.info("Package %s is removed", entry.name, extra={"action": "package_removed"})
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()


@contextlib.contextmanager
def _storing(draft: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(
            f"The package cannot be stored in {draft.parent}: {error.strerror}.",
            hint="Free disk space, or have its data directory writable for the daemon.",
        ) from error

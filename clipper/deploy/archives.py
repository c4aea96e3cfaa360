"""Zip archives from clients: one file or one folder, written out whole or refused."""

import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from clipper.core.errors import InvalidInput

NAME_BYTES = 255
"""The longest name of a file that Linux has."""
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
)
"""What zipfile raises over archives that are none, or of kinds that it does not know."""


def extract(archive: Path, place: Path, check_room: Callable[[int], None]) -> None:
    """Write out the one file or folder that is in it; `check_room` is told how large that is.

    Names that lead out of the place, links and duplicates are refused, or become plain files.

    Raises:
        InvalidInput: it is no such archive.
        OSError: it cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as members:
            listed = members.infolist()
            _check(listed)
            check_room(sum(member.file_size for member in listed))
            for member in listed:
                _write(members, member, place)
    except BROKEN as error:
        raise InvalidInput(f"The package cannot be unpacked: {error}.") from error
    for folder, _, files in os.walk(place):
        os.chmod(folder, 0o755)  # containers read it as another user
        for name in files:
            _settle(Path(folder, name))


def _check(listed: list[zipfile.ZipInfo]) -> None:
    files = [PurePosixPath(one.filename) for one in listed if not one.is_dir()]
    folders = {parent for file in files for parent in file.parents}
    odd = next((file for file in files if file in folders or not _is_plain(file)), None)
    if odd is not None or len(set(files)) != len(files):
        raise InvalidInput(f"The package cannot be unpacked: odd names in it, as {str(odd)!r}.")
    roots = {file.parts[0] for file in files}
    if len(roots) != 1:
        raise InvalidInput(
            f"A package holds one file or one folder; this one has {len(roots)}.",
            hint="Pack the model's file or folder as the only thing in it.",
        )


def _is_plain(file: PurePosixPath) -> bool:
    return bool(file.parts) and all(
        part not in ("/", "..") and len(os.fsencode(part)) <= NAME_BYTES for part in file.parts
    )


def _write(members: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path) -> None:
    if member.is_dir():
        return
    path = Path(members.extract(member, place))
    is_program = member.external_attr >> 16 & stat.S_IXUSR
    path.chmod(0o755 if is_program else 0o644)


def _settle(file: Path) -> None:
    """Have it on the disk: nobody sends again what is there under its name."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())

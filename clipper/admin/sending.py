"""A model on its way to a daemon that cannot see this machine's files: packed, sent in parts.

The archive of the same files has the same bytes, so that what the daemon has is not sent again.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path

from clipper.admin.errors import ClipperRefused, InvalidCall
from clipper.admin.listener import Listener
from clipper.admin.messages import Request, path, request
from clipper.core.folders import contents
from clipper.deploy.requirement_files import NAME as REQUIREMENTS

PACKAGES = ("api", "v1", "packages")
PART_BYTES = 4 << 20
ATTEMPTS = 10
UNPACKING_S = 1800.0
"""How long the daemon may take to look through an archive and write it out."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip archive knows; when a file was written is nobody's business."""
LEFT_OUT = frozenset({"__pycache__", ".git", ".venv"})


def send(admin: Listener, model: Path) -> str:
    """Have the daemon keep a file or folder; returns its path there.

    Raises:
        InvalidCall: not all of it can be read, or a link leads out of it.
        ClipperRefused: the daemon cannot store it.
    """
    with _reading(model):
        parts = [(model, _files(model, model))]
    return _send(admin, model.name, parts)


def send_code(admin: Listener, file: Path) -> str:
    """A Python file with its neighbours, which it may import; returns its path there.

    Of its folder go the Python files, the packages and requirements.txt, nothing else. Raises as
    `send` does.
    """
    with _reading(file):
        beside = [
            one
            for one in file.parent.iterdir()
            if one.is_file() and (one.suffix == ".py" or one.name == REQUIREMENTS)
        ]
        packages = [one.parent for one in file.parent.glob("*/__init__.py")]
        parts = [
            (one, _files(one, one if one == file else file.parent))
            for one in sorted({*beside, *packages, file})
        ]
    return f"{_send(admin, 'code', parts, inside=True)}/{file.name}"


def _send(
    admin: Listener, name: str, parts: list[tuple[Path, list[Path]]], *, inside: bool = False
) -> str:
    with tempfile.TemporaryFile() as archive:
        with zipfile.ZipFile(archive, "w") as writer:
            for root, files in parts:
                place = f"{name}/{root.name}" if inside else name
                for file in files:
                    relative = file.relative_to(root)
                    _add(writer, file, os.path.normpath(f"{place}/{relative}"))
        return _exchange(admin, archive)


@contextmanager
def _reading(what: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidCall(
            f"{what} cannot be sent: {error}.",
            hint="Everything in it goes along: leave there what is the model's and can be read.",
        ) from error


def _files(root: Path, base: Path) -> list[Path]:
    """A file, or all files of a folder, in an order that does not change."""
    return [one for one in contents(root, base, LEFT_OUT) if not one.is_dir()]


def _add(writer: zipfile.ZipFile, file: Path, name: str) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.external_attr = (0o755 if os.access(file, os.X_OK) else 0o644) << 16
    with (
        _reading(file),
        file.open("rb") as source,
        writer.open(member, "w", force_zip64=True) as target,
    ):
        while chunk := source.read(PART_BYTES):
            target.write(chunk)


def _exchange(admin: Listener, archive: BufferedRandom) -> str:
    archive.seek(0)
    digest = hashlib.file_digest(archive, "sha256").hexdigest()
    for attempt in range(ATTEMPTS):
        try:
            unpack = request("POST", *PACKAGES, digest)
            return str(admin.call(unpack, timeout_s=UNPACKING_S)["path"])
        except ClipperRefused as refusal:
            if refusal.code != "unknown_package":
                raise
        try:
            _send_rest(admin, digest, archive)
        except ClipperRefused as refusal:  # somebody else is sending the same: go on from there
            if refusal.code != "incompatible" or attempt == ATTEMPTS - 1:
                raise
    raise ClipperRefused(
        f"The daemon does not keep what it is sent as {digest}.", code="unknown_package"
    )


def _send_rest(admin: Listener, digest: str, archive: BufferedRandom) -> None:
    there = int(admin.call(request("GET", *PACKAGES, digest, "parts"))["bytes"])
    for offset, part in _parts(archive, there):
        place = path(*PACKAGES, digest, "parts", offset=offset)
        admin.call(Request("POST", place, part, "application/octet-stream"))


def _parts(archive: BufferedRandom, start: int) -> Iterator[tuple[int, bytes]]:
    archive.seek(start)
    while part := archive.read(PART_BYTES):
        yield start, part
        start += len(part)

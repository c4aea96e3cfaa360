"""What containers print: kept in files of bounded size, read no faster than is harmless.

A model that prints without end fills its pipe and then waits for us: it hurts itself only.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Protocol

from clipper.core.types import ReplicaId
from clipper.deploy.waiting import readable

CAP_BYTES = 1 << 20
RATE_BYTES_S = 1 << 20
CHUNK_BYTES = 1 << 16
RECENT_BYTES = 1 << 13
EXIT_LINES = 20

log = logging.getLogger(__name__)


def log_path(data_dir: Path, replica: ReplicaId) -> Path:
    """The file of a replica's output, the same for every container that it ever has."""
    name, version = replica.model
    return data_dir / "logs" / name / version / f"{replica.index}.log"


def lines_of(text: bytes) -> list[str]:
    """Split at newlines only, so that no character of a model's output can forge a line."""
    lines = text.decode("utf-8", "replace").split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


class Log(Protocol):
    """Where output goes."""

    def append(self, chunk: bytes) -> None:
        """Take it; may block, and never raises."""


class LogFile:
    """A file and its predecessor; together they never hold more than twice the cap, and a chunk."""

    def __init__(self, path: Path, cap_bytes: int = CAP_BYTES) -> None:
        self.path = path
        self._cap_bytes = cap_bytes
        self._older = path.with_name(f"{path.name}.1")
        self._warned = False

    def append(self, chunk: bytes) -> None:
        """Write to the end; a disk that refuses costs the chunk, never the replica."""
        try:
            self._append(chunk)
        except OSError as error:
            if not self._warned:
                log.warning("%s cannot be written, output is lost: %s", self.path, error)
            self._warned = True
        else:
            self._warned = False

    def _append(self, chunk: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(chunk)
            size = file.tell()
        if size >= self._cap_bytes:
            self.path.replace(self._older)

    def tail(self, count: int) -> list[str]:
        """The last lines, oldest first."""
        if count <= 0:
            return []
        return lines_of(b"".join(map(_read, (self._older, self.path))))[-count:]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


class LogPump:
    """Moves a pipe's bytes into a log at a bounded rate, and remembers the last of them."""

    def __init__(self, pipe: int, file: Log) -> None:
        """Read from a descriptor, which is set non-blocking and stays the caller's to close."""
        os.set_blocking(pipe, False)
        self._pipe = pipe
        self._file = file
        self._recent = b""

    async def run(self) -> None:
        """Return at the pipe's end, when nobody is left who could write to it."""
        while True:
            await readable(self._pipe)
            chunk = os.read(self._pipe, CHUNK_BYTES)
            if not chunk:
                return
            self._recent = (self._recent + chunk)[-RECENT_BYTES:]
            await asyncio.to_thread(self._file.append, chunk)
            await asyncio.sleep(len(chunk) / RATE_BYTES_S)

    def recent(self) -> tuple[str, ...]:
        """The last lines that came through; of a line too long, its end."""
        return tuple(lines_of(self._recent)[-EXIT_LINES:])

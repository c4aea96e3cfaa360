"""Who this daemon is to the containers it starts: a name that its next start will have again.

The name belongs to the data directory: what a killed daemon left behind is found by it. One daemon
at a time may use it, or each would take the other's containers for leftovers.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import IO

from clipper.core.errors import DeployError

RETRY_S = 0.02


class Taken(DeployError):
    """Another daemon uses the data directory."""


def instance_id(data_dir: Path) -> str:
    """Twelve hex digits, the same for as long as the data directory stays where it is.

    A copy of the directory in another place is another instance.

    Raises:
        DeployError: the directory cannot be written.
    """
    file = data_dir / "instance"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            _write_once(file, secrets.token_hex(16))
        seed = file.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise _unusable(data_dir, error) from error
    return hashlib.sha256(f"{seed} {data_dir.resolve()}".encode()).hexdigest()[:12]


def claim(data_dir: Path, name: str, patience_s: float = 0.0) -> IO[bytes]:
    """Take a place in the data directory, until the result is closed or we die.

    With patience, wait so long for whoever has it to leave; that blocks.

    Raises:
        Taken: a living daemon has it.
        DeployError: the directory cannot be written.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = (data_dir / f"{name}.lock").open("ab")
    except OSError as error:
        raise _unusable(data_dir, error) from error
    until = time.monotonic() + patience_s
    while not _lock(place):
        if time.monotonic() >= until:
            place.close()
            raise Taken(
                f"another daemon runs from the data directory {data_dir}",
                hint="Stop that one first, or give this one another --data-dir.",
            )
        time.sleep(RETRY_S)
    return place


def _lock(place: IO[bytes]) -> bool:
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write_once(file: Path, text: str) -> None:
    """Write a whole file or none; raises FileExistsError where one is there."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.write_text(text, encoding="ascii")
    try:
        os.link(draft, file)
    finally:
        draft.unlink()


def _unusable(data_dir: Path, error: OSError) -> DeployError:
    return DeployError(
        f"the data directory {data_dir} cannot be used: {error.strerror}",
        hint="Make it writable for the daemon's user, or choose another with --data-dir.",
    )

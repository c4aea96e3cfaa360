"""The folder of the replicas' sockets: private, with a path short enough for a socket's."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

PATH_BYTES = 80  # leaves room for a file's name in the 107 bytes of a socket's path


def is_ours(folder: Path) -> bool:
    """Whether it is there and nobody else's."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def private_dir(prefix: str) -> Path:
    """A new directory of our own, with a short path; older ones of the same prefix go."""
    parent = Path(tempfile.gettempdir())
    if len(os.fsencode(parent / prefix)) > PATH_BYTES:
        parent = Path("/tmp")
    for old in parent.glob(f"{prefix}*"):
        shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))

"""Whether a model's files can be read by the unprivileged user that containers run as."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from clipper.core.errors import DeployError

FILES_MAX = 10_000
"""So many are looked at; a folder with more is taken at its first ones' word."""


def check_readable(paths: Iterator[Path], user_id: int, root: Path) -> None:
    """Refuse what the user cannot read, folders what it cannot enter too.

    Raises:
        DeployError: naming the first such path.
    """
    for path in islice(paths, FILES_MAX):
        wanted = 0o5 if path.is_dir() else 0o4
        if not _granted(path, user_id) & wanted == wanted:
            raise DeployError(
                f"{path} cannot be read by user id {user_id}, as which model containers run",
                hint=f"Let everybody read it: chmod -R a+rX {root}",
            )


def tree(root: Path) -> Iterator[Path]:
    """A file, or a folder and all that is in it."""
    yield root
    for folder, folders, files in os.walk(root):
        yield from (Path(folder, name) for name in (*folders, *files))


def _granted(path: Path, user_id: int) -> int:
    """The bits of rwx that the user, whose group has the same number, has on it."""
    try:
        status = path.stat()
    except OSError:  # a link to nowhere: the model will say so if it matters
        return 0o7
    if status.st_uid == user_id:
        return status.st_mode >> 6 & 0o7
    if status.st_gid == user_id:
        return status.st_mode >> 3 & 0o7
    return status.st_mode & 0o7

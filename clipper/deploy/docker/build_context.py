"""What the Docker engine gets to see of a build: an archive of the recipe's files and packages."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from clipper.core.folders import contents
from clipper.deploy.docker.recipe import CODE, MODEL, PACKAGES, Recipe

NEVER = frozenset({"__pycache__"})


def write_context(recipe: Recipe, packages: Path, archive: IO[bytes]) -> None:
    """Write the archive; raises OSError where a file cannot be read, a link leads
    out of a model's folder, or the disk is full."""
    with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
        _add_text(tar, "Dockerfile", recipe.dockerfile())
        if recipe.requirements:
            _add(tar, packages, PACKAGES, packages)
        if recipe.code is not None:
            _add_folder(tar, CODE)
            code = recipe.code.file
            for path in neighbours(code):
                _add(tar, path, f"{CODE}/{path.name}", path if path == code else code.parent)
        if recipe.model is not None:
            if not recipe.model.is_dir():
                _add_folder(tar, MODEL)
            _add(
                tar,
                recipe.model,
                MODEL if recipe.model.is_dir() else f"{MODEL}/{recipe.model.name}",
                recipe.model,
            )


def neighbours(code: Path) -> Iterator[Path]:
    """The file and what it may import from beside it: Python files, and packages of such.

    Whatever else lies there, an environment or a password, stays there. Raises OSError where the
    folder cannot be listed.
    """
    for path in sorted(code.parent.iterdir()):
        # Not Path.is_file: somebody else's folder, which we may not enter, is no package.
        is_module = path.suffix == ".py" and os.path.isfile(path)
        if is_module or os.path.isfile(path / "__init__.py"):
            yield path


def _add(tar: tarfile.TarFile, path: Path, name: str, base: Path) -> None:
    """A file, or a folder with all that is in it; what links lead to stands in their place."""
    for entry in contents(path, base, NEVER):
        place = name if entry == path else f"{name}/{entry.relative_to(path)}"
        tar.add(entry, place, recursive=False, filter=_plain)


def _add_folder(tar: tarfile.TarFile, name: str) -> None:
    folder = tarfile.TarInfo(name)
    folder.type = tarfile.DIRTYPE
    tar.addfile(_plain(folder))


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(_plain(entry), io.BytesIO(content))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nobody's, of no date, and for all to read: as a model's container has to see it."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry

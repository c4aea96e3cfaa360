"""What a model's folder holds, to be copied elsewhere: the folder of a stranger, it may be.

Links are followed where they stay inside. One that leads out would take along what its maker could
not read, a private key say, and is refused.
"""

import os
from collections.abc import Container, Iterator
from pathlib import Path


def contents(path: Path, base: Path, left_out: Container[str] = ()) -> Iterator[Path]:
    """A file, or a folder with all that is in it, each folder before its entries, in order.

    Links may lead to what is in `base`, which may itself be one. Names in `left_out` are not
    looked at.

    Raises:
        OSError: a folder cannot be read, a link leads out, nowhere, or back to a folder that it is
            in, or something is neither a file nor a folder.
    """
    return _contents(path, base, Path(os.path.realpath(base)), left_out, ())


def _contents(
    path: Path, base: Path, inside: Path, left_out: Container[str], above: tuple[Path, ...]
) -> Iterator[Path]:
    real = Path(os.path.realpath(path))
    if path != base and path.is_symlink():
        if not real.is_relative_to(inside):
            raise OSError(f"{path} leads out of {base}, to {real}; put a copy in its place")
        if not real.exists():
            raise OSError(f"{path} leads to {real}, where there is nothing")
    if real in above:
        raise OSError(f"{path} leads to a folder that it is in itself")
    is_folder = path.is_dir()
    if not is_folder and not path.is_file():
        raise OSError(f"{path} is neither a file nor a folder")
    yield path
    if is_folder:
        for name in sorted(os.listdir(path)):
            if name not in left_out:
                yield from _contents(path / name, base, inside, left_out, (*above, real))

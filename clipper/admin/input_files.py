"""Inputs in files."""

from pathlib import Path
from typing import Any

from clipper.admin.errors import InvalidCall


def read_input(file: Path) -> Any:
    """The array in a file whose name ends in `.npy`, the bytes of any other.

    Raises:
        InvalidCall: the file cannot be read, or is no array.
    """
    try:
        return _load_array(file) if file.suffix == ".npy" else file.read_bytes()
    except (OSError, ValueError, EOFError) as error:
        raise InvalidCall(
            f"{file} cannot be read: {error}.",
            hint="Name a readable file; one that ends in .npy is what numpy.save wrote.",
        ) from None


def _load_array(file: Path) -> Any:
    import numpy as np  # here, because it takes longer to load than most commands run

    return np.load(file, allow_pickle=False)

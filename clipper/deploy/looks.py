"""How saved models begin whose names leave it open: first bytes are read, and nothing is run."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

HEAD_BYTES = 4096
CONFIG_BYTES = 1 << 20
"""More than any configuration of Transformers has."""


def head(path: Path) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _json_or_ubjson(start: bytes) -> str:
    return "xgboost" if start.lstrip()[:1] == b"{" and b"learner" in start else ""


def _text(start: bytes) -> str:
    return "lightgbm" if start.startswith((b"tree\n", b"tree\r\n")) else ""


def _hdf5(start: bytes) -> str:
    return "tensorflow" if start.startswith(b"\x89HDF\r\n\x1a\n") else ""


def _archive(start: bytes) -> str:
    return "pytorch" if start.startswith(b"PK\x03\x04") else ""


LOOKS: Mapping[str, Callable[[bytes], str]] = {
    ".json": _json_or_ubjson,
    ".model": lambda start: _json_or_ubjson(start) or _text(start),
    ".txt": _text,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".bin": lambda start: _archive(start) or _json_or_ubjson(start),
}
"""By suffix: the framework whose saved model begins so, or nothing."""

LACKS: Mapping[str, str] = {
    ".json": "XGBoost's, but this holds no learner",
    ".model": "XGBoost's or LightGBM's, but this holds no learner and does not begin with 'tree'",
    ".txt": "LightGBM's, but this does not begin with a line 'tree'",
    ".h5": "Keras's, but this is no HDF5",
    ".hdf5": "Keras's, but this is no HDF5",
    ".bin": "PyTorch's or XGBoost's, but this is no zip archive and holds no learner",
}
"""By suffix: whose files are taken for models, and what one lacks that is none."""


def advice(file: Path) -> str:
    """What to do about a file whose name says nothing, by how it begins; empty where that is open.

    Raises:
        OSError: it cannot be read.
    """
    if file.suffix == ".py":
        return f"Name the class: {file.name}:ClassName."
    if LOOKS.get(file.suffix):
        return ""
    start = head(file)
    if start.startswith(b"\x80"):
        return "It begins as pickles do: --framework sklearn, if joblib or pickle wrote it."
    if start.startswith(b"PK\x03\x04"):
        return "It is a zip archive: --framework pytorch, if torch wrote it."
    return ""


def is_program(file: Path) -> bool:
    """Whether a file is there to be run."""
    return os.access(file, os.X_OK) and head(file).startswith((b"\x7fELF", b"#!"))


def is_transformers(config: Path) -> bool:
    """Whether a `config.json` names the architecture of a model."""
    with config.open("rb") as file:
        content = file.read(CONFIG_BYTES)
    try:
        return "architectures" in json.loads(content)
    except (ValueError, RecursionError, TypeError):
        return False

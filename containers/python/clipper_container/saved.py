"""Saved models on disk: which file it is, and what is said of one that cannot be read."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clipper_container.errors import LoadError

FUNCTION = "func.cloudpickle"
"""A function of the user's beside a saved model, which is called with it."""
REQUIREMENTS = "requirements.txt"
"""The packages that a model needs, a line each: no model, whatever its suffix."""
HEAD_BYTES = 4096
REASON_CHARS = 1_000
OF_SCRIPT = re.compile(
    r"(?:Can't get attribute|module '__main__' has no attribute) '([^']+)'"
    r"(?: on <module '__main__'|$)"
)
"""What pickle says of a class that it looks for where the saving script's were."""
PACKAGES = frozenset(
    {"catboost", "category_encoders", "imblearn", "joblib", "keras", "lightgbm", "nltk", "pandas"}
    | {"scipy", "sklearn", "skorch", "spacy", "statsmodels", "tensorflow", "timm", "torch"}
    | {"torchaudio", "torchvision", "transformers", "xgboost"}
)
"""What saved models need that is no file of the user's, as Python imports it."""


def function_beside(place: str) -> Path | None:
    """The function that answers in the place of the container's `predict_batch`, if any."""
    path = Path(place, FUNCTION)
    # Model data may be any text; this, unlike Path's own method, takes what is no path.
    return path if place and os.path.isfile(path) else None


def place_of(place: str) -> Path:
    """The file or folder of a saved model.

    Raises:
        LoadError: there is none.
    """
    if not place:
        raise LoadError("No saved model was given: name its file or folder as model data.")
    if not Path(place).exists():
        raise LoadError(f"{place}: there is no such file or folder.")
    return Path(place)


def find_file(
    place: str, suffixes: Sequence[str], looks: Callable[[bytes], bool] | None = None
) -> Path:
    """The model's file: the path itself, or the only one of its folder that looks like one.

    Where names leave it open, files that begin so that `looks` says yes are preferred.

    Raises:
        LoadError: there is none, or there are several.
    """
    path = place_of(place)
    if path.is_file():
        return path
    found = sorted(file for file in path.iterdir() if file.suffix in suffixes and file.is_file())
    found = [file for file in found if file.name != REQUIREMENTS]
    found = [file for file in found if file.name != FUNCTION] or found
    if looks and len(found) > 1:
        found = [file for file in found if looks(head(file))] or found
    if len(found) == 1:
        return found[0]
    names = ", ".join(file.name for file in found) or "none"
    raise LoadError(
        f"{path}: the folder must hold exactly one {' or '.join(suffixes)} file; it holds {names}. "
        "Name the file itself."
    )


def head(path: Path) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


@contextmanager
def reading(path: Path, what: str, class_for: str = "") -> Iterator[None]:
    """Say of whatever a framework raises over a file that it is the file, in one line.

    `class_for` is how a class is deployed with the file, where that may have been saved with one.
    """
    try:
        yield
    except LoadError:
        raise
    except ModuleNotFoundError as error:
        name = error.name or ""
        if class_for and name.isidentifier() and name not in PACKAGES:
            raise LoadError(
                f"{path} was saved with code of the module `{name}`. If that is a file of yours: "
                f"deploy {name}.py:Class {class_for} --model-data {path.name}; "
                "if it is a package: --requirements."
            ) from error
        raise LoadError(
            f"{path} needs the Python package {error.name}, which is not installed here: "
            "deploy it with --requirements."
        ) from error
    except Exception as error:
        if found := OF_SCRIPT.search(str(error)):
            raise LoadError(
                f"{found[1]} was defined in the script that saved {path}, and is not in the file. "
                "Deploy it from that script with deploy_live_model, or move the class to a module "
                "and name it."
            ) from error
        raise LoadError(f"{path} cannot be read as {what}: {reason(error)}") from error


def reason(error: Exception) -> str:
    """What an exception says, in one line of bounded length."""
    told, _, _ = str(error).partition("Stack trace:")  # what follows is a framework's C++
    text = " ".join(told.split())[:REASON_CHARS]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

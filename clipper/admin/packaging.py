"""A model on disk as the daemon is told of it: absolute paths, checked before anything is sent.

The daemon runs on the same machine and opens the path itself, from another working directory.
"""

from dataclasses import dataclass
from pathlib import Path

from clipper.admin.errors import InvalidCall

CLASS_HINT = "A class of your own is written file.py:ClassName."
PATH_HINT = "Name the saved model: clipper-admin model deploy svm 1 svm.joblib"
NOOP = "noop"
PYTHON = "python"
IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Saved:
    """A model that is there."""

    framework: str
    """Empty: the daemon sees for itself."""
    path: str
    """A file or folder; with a class, the class's file."""
    model_data: str = ""
    class_name: str = ""

    def said(self) -> dict[str, str]:
        """What the daemon is told."""
        path = f"{self.path}:{self.class_name}" if self.class_name else self.path
        said = {"framework": self.framework, "path": path, "model_data": self.model_data}
        return {key: value for key, value in said.items() if value}


def saved(
    path: str,
    model_data: str,
    framework: str = "",
    *,
    needs_path: bool = True,
    is_sent: bool = False,
) -> Saved:
    """The model at `path`, or the class there that loads `model_data`.

    Raises:
        InvalidCall: nothing is there.
    """
    hint = "Check the path." if is_sent else "Check the path; the daemon opens it on this machine."
    data = existing(model_data, "The model data", hint) if model_data else ""
    if not path and (framework == NOOP or not needs_path):
        return Saved(framework, "", data)  # there is nothing to load, or the image has it
    if not path:
        raise InvalidCall("PATH is missing.", hint=CLASS_HINT if framework == PYTHON else PATH_HINT)
    file, separator, name = path.rpartition(":")
    if framework == PYTHON or (separator and file.endswith(".py")):
        if not file.endswith(".py") or not name.isidentifier():
            raise InvalidCall(f"{path!r} does not name a class in a file.", hint=CLASS_HINT)
        return Saved(framework, existing(file, "The file", hint), data, name)
    if framework == NOOP and not Path(path).expanduser().exists():
        return Saved(framework, path, data)  # it loads nothing, so whatever was written is as good
    return Saved(framework, existing(path, "The model", hint), data)


def check_image(framework: str, manager: str, image: str) -> None:
    """Whether the framework of an image that brings its own comes with one.

    Raises:
        InvalidCall: it does not.
    """
    lacking = ["--manager docker"] * (manager != "docker") + ["--image NAME"] * (not image)
    if framework == IMAGE and lacking:
        raise InvalidCall(
            f"--framework image lacks {' and '.join(lacking)}.",
            hint="It is for an image of Docker's that holds a model and what serves it.",
        )


def existing(path: str, what: str, hint: str) -> str:
    """The absolute form of a path.

    Raises:
        InvalidCall: nothing is there.
    """
    absolute = Path(path).expanduser().absolute() if path else None
    if absolute is None or not absolute.exists():
        raise InvalidCall(
            f"{what} {path!r} does not exist (looked in {Path.cwd()}).",
            hint=hint,
        )
    return str(absolute)

"""A model on disk as the daemon is told of it: absolute paths, checked before anything is sent.

The daemon runs on the same machine and opens the path itself, from another working directory.
"""

from pathlib import Path

from clipper.admin.errors import InvalidCall

PYTHON_HINT = "A python model is written file.py:ClassName."


def model_path(framework: str, path: str, *, image: str = "") -> str:
    """The path of a saved model as the daemon needs it; for `python`, `/abs/file.py:ClassName`.

    Raises:
        InvalidCall: nothing is there.
    """
    if not path and (framework == "noop" or image):
        return ""  # there is nothing to load, or the image has it
    if framework == "python":
        return _python_target(path)
    if framework == "noop" and not Path(path).expanduser().exists():
        return path  # it loads nothing, so whatever was written is as good
    return existing(path, "The model")


def _python_target(path: str) -> str:
    file, separator, name = path.rpartition(":")
    if not separator or not file.endswith(".py") or not name.isidentifier():
        raise InvalidCall(f"{path!r} does not name a class in a file.", hint=PYTHON_HINT)
    return f"{existing(file, 'The file')}:{name}"


def existing(path: str, what: str) -> str:
    """The absolute form of a path.

    Raises:
        InvalidCall: nothing is there.
    """
    absolute = Path(path).expanduser().absolute() if path else None
    if absolute is None or not absolute.exists():
        raise InvalidCall(
            f"{what} {path!r} does not exist (looked in {Path.cwd()}).",
            hint="Check the path; the daemon opens it on this machine.",
        )
    return str(absolute)

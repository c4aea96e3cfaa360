"""A TARGET to a loaded model: `package.module:Class` or `path/to/file.py:Class`."""

import importlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from clipper_container.container import Model, ModelContainer
from clipper_container.errors import LoadError
from clipper_container.functions import with_function
from clipper_container.options import Options


class TargetError(LoadError):
    """The TARGET names no class that can serve; the message says what to change."""


def load(target: str, model_data: str, options: Options = Options()) -> Model:
    """Import the class and make its one instance; whatever the model's own code raises is raised.

    Raises:
        TargetError: there is no such file, module or class, or it is no model.
    """
    cls = class_of(target)
    if options.code:
        target, cls = _with_code(target, cls, options.code)
    check_class(cls, target)
    model: Model = cls(model_data) if _accepts(cls, "model_data") else cls()
    if not _accepts(model.predict_batch, "inputs"):
        raise TargetError(
            f"{target}: predict_batch takes other arguments; define predict_batch(self, inputs)."
        )
    return with_function(model, model_data)


def _with_code(target: str, cls: type[Any], code: str) -> tuple[str, type[Any]]:
    """Who serves a saved model that brings a class: that class where it can, else the framework."""
    own = class_of(code)
    if callable(getattr(own, "predict_batch", None)):
        return code, own
    if not getattr(cls, "takes_class", False):
        raise TargetError(f"{code} has no predict_batch; define predict_batch(self, inputs).")
    return target, cls


def class_of(target: str) -> type[Any]:
    """The class that a target names.

    Raises:
        TargetError: there is no such file, module or class.
    """
    place, separator, name = target.rpartition(":")
    if not separator or not place or not name:
        raise TargetError(f"{target}: give module:Class or path/to/file.py:Class.")
    module = import_file(Path(place)) if _is_path(place) else import_module(place)
    return find_class(module, place, name)


def warm_up(model: Model) -> None:
    """Let the model warm up, if it knows how to."""
    if prepare := getattr(model, "warm_up", None):
        prepare()


def _is_path(place: str) -> bool:
    return place.endswith(".py") or os.sep in place


def import_file(path: Path) -> ModuleType:
    """Run a file as a module; its folder comes first in the search for what it imports."""
    if not path.is_file():
        raise TargetError(f"{path}: there is no such file (seen from {Path.cwd()}).")
    path = path.resolve()
    if (known := sys.modules.get(path.stem)) and getattr(known, "__file__", None) == str(path):
        return known
    sys.path.insert(0, str(path.parent))
    # Under its own name, by which a pickle made beside it refers to it, unless that is taken.
    name = path.stem if path.stem not in sys.modules else f"clipper_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path}: this is no Python file; its name has to end in .py.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        if path.stem != f"{path.parent.name}_container":
            raise missing(path.name, error) from error
        raise TargetError(
            f"{error.name} is not installed here: pip install "
            f"'clipper-serving[{path.parent.name}]', or deploy with --requirements"
        ) from error
    return module


def import_module(name: str) -> ModuleType:
    """Import a module from the search path."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            # The module is there; something that it imports is not.
            raise missing(name, error) from error
        raise TargetError(
            f"{name}: there is no module {error.name}. Install it, add its folder to PYTHONPATH, "
            "or give the path of a .py file."
        ) from error


def missing(place: str, error: ModuleNotFoundError) -> LoadError:
    """What is said of the user's code where it imports what is not there."""
    return LoadError(
        f"{place} needs the Python package {error.name}, which is not installed here: "
        "deploy it with --requirements."
    )


def find_class(module: ModuleType, place: str, name: str) -> type[Any]:
    """The class of that name in a module."""
    found = getattr(module, name, None)
    if isinstance(found, type):
        return found
    models = [key for key, value in vars(module).items() if _is_model(value, module)]
    there = f"It has {', '.join(models)}." if models else "It has no class with predict_batch."
    what = "no class" if found is None else f"a {type(found).__name__}, not a class, of the name"
    raise TargetError(f"{place} has {what} {name}. {there}")


def _is_model(value: object, module: ModuleType) -> bool:
    own = isinstance(value, type) and value.__module__ == module.__name__
    return own and callable(getattr(value, "predict_batch", None))


def check_class(cls: type[Any], target: str) -> None:
    """Find by its looks what would otherwise fail at the first query."""
    method = getattr(cls, "predict_batch", None)
    if not callable(method) or method is ModelContainer.predict_batch:
        raise TargetError(f"{target} has no predict_batch; define predict_batch(self, inputs).")
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        raise TargetError(f"{target}: predict_batch is async; define it with a plain def.")
    needs_nothing = not issubclass(cls, ModelContainer) and _accepts(cls)
    if not needs_nothing and not _accepts(cls, "model_data"):
        raise TargetError(
            f"{target} cannot be made with one argument; define __init__(self, model_data)."
        )


def _accepts(function: Any, *arguments: str) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # not written in Python: nothing to be seen
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True

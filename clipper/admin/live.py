"""Models in memory to files that their framework's container loads: one row for each framework.

What Python cannot find where the model is loaded has to travel with it: functions and classes of a
notebook, of a script, and of modules that are not installed are written by value.
"""

import importlib.metadata
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import cloudpickle

from clipper.admin.errors import InvalidCall

FUNCTION = "func.cloudpickle"
"""Beside a model: it is called with the model and the inputs, in place of the framework's own."""
CLOSURE = "closure"


def pickle(value: Any, file: Path) -> None:
    """Write a function, a class or an object, with the code that is not installed.

    Raises:
        InvalidCall: it cannot be written.
    """
    hint = "Refer only to what can be pickled: make locks, files and connections when it is called."
    with _saving(getattr(value, "__name__", type(value).__name__), hint):
        _dump(value, file)


def _dump(value: Any, file: Path) -> None:
    with _by_value(), file.open("wb") as stream:
        cloudpickle.dump(value, stream)


@contextmanager
def _saving(what: str, hint: str) -> Iterator[None]:
    """Say of whatever is raised what it is that cannot be saved."""
    try:
        yield
    except Exception as error:
        raise InvalidCall(f"This {what} cannot be saved: {error}", hint=hint) from error


def _object(file: str) -> Callable[[Any, Path], None]:
    return lambda model, folder: _dump(model, folder / file)


def _booster(model: Any, folder: Path) -> None:
    getattr(model, "booster_", model).save_model(folder / "model.txt")


def _proto(model: Any, folder: Path) -> None:
    (folder / "model.onnx").write_bytes(model.SerializeToString())


class Row(NamedTuple):
    """How objects of one package are saved."""

    framework: str
    write: Callable[[Any, Path], None]


SAVERS: Mapping[str, Row] = {
    "xgboost": Row("xgboost", lambda model, folder: model.save_model(folder / "model.ubj")),
    "lightgbm": Row("lightgbm", _booster),
    "sklearn": Row("sklearn", _object("model.pkl")),
    "torch": Row("pytorch", _object("model.cloudpickle")),
    "onnx": Row("onnx", _proto),
    "keras": Row("tensorflow", lambda model, folder: model.save(folder / "model.keras")),
    "transformers": Row("transformers", lambda model, folder: model.save_pretrained(folder)),
}
"""By the package that a model's class, or one that it derives from, is of."""


def save(model: Any, func: Callable[[Any, Any], Any] | None, folder: Path) -> str:
    """Write a model, and the function that predicts with it; returns its framework.

    Raises:
        InvalidCall: it is of no framework that is known, or cannot be written.
    """
    packages = [one.__module__.partition(".")[0] for one in type(model).__mro__]
    row = next((SAVERS[package] for package in packages if package in SAVERS), None)
    if row is None:
        raise InvalidCall(
            f"A {type(model).__module__}.{type(model).__qualname__} is of no known framework.",
            hint="Deploy a function that calls it, with deploy_python_closure().",
        )
    hint = "Save it in a file yourself, and deploy that with deploy_model()."
    with _saving(type(model).__name__, hint):
        row.write(model, folder)
    if func is not None:
        pickle(func, folder / FUNCTION)
    return row.framework


@contextmanager
def _by_value() -> Iterator[None]:
    # By its name, as it is registered: a module may be loaded under several.
    modules = {module.__name__: module for module in _not_installed()}.values()
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _not_installed() -> Iterator[ModuleType]:
    """Loaded from files that are neither Python's own nor of a package; `__main__` always is."""
    paths = sysconfig.get_paths()
    ours = tuple(paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    packages = importlib.metadata.packages_distributions()
    registered = cloudpickle.list_registry_pickle_by_value()
    for module in list(sys.modules.values()):
        file, name = getattr(module, "__file__", None), getattr(module, "__name__", "__main__")
        if not file or name == "__main__" or name not in sys.modules:
            continue
        is_known = name.partition(".")[0] in packages or name in registered
        if not is_known and not file.startswith(ours):
            yield module

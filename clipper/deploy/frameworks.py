"""The frameworks whose saved models are served, one row each: what they need and how they look.

A framework's class is in `containers/<name>/<name>_container.py`; it and the framework itself are
imported in the container only. Nothing here does: of a model, names and first bytes are looked at.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clipper.core.errors import DeployError
from clipper.deploy.looks import LACKS, LOOKS, advice, head, is_program, is_transformers

CODE = re.compile(r".*\.py:[^\W\d]\w*", re.DOTALL)
"""A class in a file: `net.py:Net`."""
EXECUTABLE = "executable"
"""What stands for a framework where the model is a program that speaks the protocol itself."""
FUNCTION = "func.cloudpickle"
"""A function beside a saved model, which is called with it."""


@dataclass(frozen=True, slots=True)
class Framework:
    """One row."""

    name: str
    requirements: tuple[str, ...] = ()
    """All that its class may need, as pip has it: what an environment of its own holds."""
    modules: tuple[str, ...] = ()
    """What its class cannot do without, as Python imports it."""
    suffixes: tuple[str, ...] = ()
    """How the names of its saved models end; where a look at the file decides, it is in LOOKS."""
    markers: tuple[str, ...] = ()
    """A folder that holds a file of this name is one of its saved models."""
    needs_model: bool = True
    """Whether its class loads something."""


_CLOUDPICKLE = "cloudpickle>=3.0"
"""Reads the function that may lie beside a saved model."""

_ROWS = (
    Framework("python", needs_model=False),
    Framework("noop", needs_model=False),
    Framework(
        "closure",
        requirements=(_CLOUDPICKLE,),
        modules=("cloudpickle",),
        suffixes=(".cloudpickle",),
    ),
    Framework(
        "sklearn",
        requirements=("scikit-learn>=1.0", "joblib>=1.0", "skops>=0.11", _CLOUDPICKLE),
        modules=("sklearn", "joblib"),
        suffixes=(".joblib", ".pkl", ".pickle", ".skops"),
    ),
    Framework(
        "pytorch",
        requirements=("torch>=2.2", "safetensors>=0.4", _CLOUDPICKLE),
        modules=("torch",),
        suffixes=(".pt", ".pth", ".pt2", ".safetensors"),
    ),
    Framework(
        "onnx",
        requirements=("onnxruntime>=1.17", _CLOUDPICKLE),
        modules=("onnxruntime",),
        suffixes=(".onnx",),
    ),
    Framework(
        "xgboost",
        # The package xgboost without CUDA, which would be most of what is installed.
        requirements=("xgboost-cpu>=2.1", _CLOUDPICKLE),
        modules=("xgboost",),
        suffixes=(".ubj", ".xgb"),
    ),
    Framework(
        "lightgbm",
        requirements=("lightgbm>=4.0", _CLOUDPICKLE),
        modules=("lightgbm",),
        suffixes=(".lgb",),
    ),
    Framework(
        "tensorflow",
        requirements=("tensorflow-cpu>=2.16", _CLOUDPICKLE),
        modules=("tensorflow",),
        suffixes=(".keras",),
        markers=("saved_model.pb",),
    ),
    Framework(
        "transformers",
        requirements=("transformers>=4.40", "torch>=2.2", _CLOUDPICKLE),
        modules=("transformers", "torch"),
        markers=("config.json",),
    ),
    Framework(
        "mlflow",
        # All that loads and predicts; what else the package mlflow brings is for its own server.
        requirements=("mlflow-skinny>=2.10", "pandas>=2.0"),
        modules=("mlflow", "pandas"),
        markers=("MLmodel",),
    ),
)

FRAMEWORKS: Mapping[str, Framework] = {row.name: row for row in _ROWS}

_BY_SUFFIX = {suffix: row.name for row in _ROWS for suffix in row.suffixes}
_BY_MARKER = ("mlflow", "tensorflow", "transformers")
"""Whose folders are looked for, in this order: MLflow's hold other frameworks' models."""


def detect(path: Path) -> str:
    """The framework of a saved model, by the looks of its file or folder.

    Raises:
        DeployError: it looks like none, or like several, or cannot be looked at.
    """
    if CODE.fullmatch(path.name):
        return "python"
    try:
        found = _in_folder(path) if path.is_dir() else {path.name: _alone(path)}
        is_unknown = path.is_file() and not found[path.name]
        hint = advice(path) if is_unknown else ""
    except OSError as error:
        raise DeployError(
            f"the saved model {str(path)!r} cannot be looked at: {error.strerror or error}",
            hint="Give a path that is there and can be read.",
        ) from error
    known = {name: framework for name, framework in found.items() if framework}
    if len(known) == 1:
        return next(iter(known.values()))
    markers = (marker for name in _BY_MARKER for marker in FRAMEWORKS[name].markers)
    looked_for = (
        f"{', '.join([*_BY_SUFFIX, *LOOKS])}, a program, or a folder with {', '.join(markers)}"
    )
    why = f"it looks like none of {looked_for}"
    if known:
        why = f"it looks like several models, {', '.join(known)}"
    elif is_unknown and path.suffix in LACKS:
        why = f"a {path.suffix} file is taken for {LACKS[path.suffix]}"
    raise DeployError(
        f"the framework of {str(path)!r} cannot be told: {why}",
        hint=hint or f"Name one with --framework: {', '.join([*FRAMEWORKS, EXECUTABLE])}.",
    )


def _in_folder(folder: Path) -> dict[str, str]:
    """What is in a folder, with the frameworks that it looks like; a marker stands for all."""
    for name in _BY_MARKER:
        for marker in FRAMEWORKS[name].markers:
            if (folder / marker).is_file() and (
                name != "transformers" or is_transformers(folder / marker)
            ):
                return {marker: name}
    found = {file.name: _of_file(file) for file in sorted(folder.iterdir()) if file.is_file()}
    function = found.pop(FUNCTION, "")
    if function and any(found.values()):
        # What a function is called with is no function: it is a live object of PyTorch's.
        return {name: "pytorch" if what == "closure" else what for name, what in found.items()}
    return found | {FUNCTION: function}


def _alone(file: Path) -> str:
    return _of_file(file) or (EXECUTABLE if is_program(file) else "")


def _of_file(file: Path) -> str:
    if look := LOOKS.get(file.suffix):
        return look(head(file))
    file.stat()  # something has to be there
    return _BY_SUFFIX.get(file.suffix, "")

"""Policies of one's own: a class in a file, `module:Class`, in the folder that the daemon is given.

Only files of that folder count, so that whoever may create applications can name code that whoever
started the daemon has put there, and no other. A file is read once in the life of a process.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from clipper.core.errors import InvalidInput
from clipper.selection.policy import SelectionPolicy

PREFIX = "clipper_policies_"
"""Of the modules' names, so that none hides another."""


class OwnPolicies:
    """What is in one folder; none until it is named."""

    def __init__(self) -> None:
        self.folder: Path | None = None

    def find(self, name: str) -> type[SelectionPolicy]:
        """The class that `module:Class` names.

        Raises:
            InvalidInput: there is no such class, or its file cannot be read.
        """
        module_name, _, class_name = name.partition(":")
        if self.folder is None:
            raise InvalidInput(
                f"The selection policy '{name}' is in a file, and this daemon was given no folder.",
                hint="Start it with `clipperd --policies-dir FOLDER`.",
            )
        file = self.folder / f"{module_name}.py"
        if not (module_name.isidentifier() and file.is_file()):
            raise InvalidInput(
                f"There is no file {module_name}.py with selection policies in {self.folder}.",
                hint="`module:Class` names the class Class in module.py.",
            )
        found = getattr(_module(module_name, file), class_name, None)
        if not (isinstance(found, type) and issubclass(found, SelectionPolicy)):
            raise InvalidInput(
                f"{file} has no selection policy '{class_name}'.",
                hint="It is a class that derives from clipper.selection.policy.SelectionPolicy.",
            )
        return found


def _module(name: str, file: Path) -> ModuleType:
    full_name = PREFIX + name
    if (known := sys.modules.get(full_name)) is not None and known.__file__ == str(file):
        return known
    spec = importlib.util.spec_from_file_location(full_name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[full_name]
        raise InvalidInput(
            f"{file} cannot be imported: {type(error).__name__}: {error}",
            hint="Mend it, and try again.",
        ) from error
    return module


OWN = OwnPolicies()
"""Of this process, as `sys.path` is."""


def use(folder: str) -> None:
    """Find policies there from now on; nowhere if it is empty."""
    OWN.folder = Path(folder) if folder else None

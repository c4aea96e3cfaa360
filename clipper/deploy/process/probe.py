"""Says what an interpreter is and which packages it has: a program of its own, run by that one.

    python -P probe.py MODULE...

It writes one line of JSON: the name of the interpreter's binary interface, which packages are
built for, those of the modules that could be imported, and all packages that are installed, with
their versions. Nothing is imported.
"""

import importlib.metadata
import importlib.util
import json
import sys
import sysconfig


def is_there(module: str) -> bool:
    """Whether it could be imported, as far as can be told without doing so."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # what it is part of is missing, or is odd
        return False


def main(modules: list[str]) -> None:
    """Write what there is."""
    found = {
        "abi": sysconfig.get_config_var("SOABI"),
        "modules": list(filter(is_there, modules)),
        "packages": {one.name: one.version for one in importlib.metadata.distributions()},
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

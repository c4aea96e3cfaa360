"""The interpreter that runs models which ask for no packages, and what it can import.

It is asked once, when the manager opens: who installs a framework into it later starts the daemon
anew, or gets an environment that holds the framework.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clipper.core.errors import DeployError
from clipper.deploy import probe
from clipper.deploy.frameworks import FRAMEWORKS

PROBE_S = 60.0
"""Its file system may be slow and cold."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that runs."""

    python: Path
    abi: str
    """What its packages are built for: `cpython-311-x86_64-linux-gnu`."""
    frameworks: frozenset[str]
    """Names of those that it can import."""


def examine(python: Path, environment: Mapping[str, str]) -> Interpreter:
    """Ask an interpreter what it is; blocks.

    Raises:
        DeployError: it cannot be run.
    """
    modules = {module for row in FRAMEWORKS.values() for module in row.modules}
    command = [str(python), "-P", probe.__file__, *sorted(modules)]
    try:
        answer = subprocess.run(
            command, env=environment, cwd="/", capture_output=True, timeout=PROBE_S, check=True
        )
        found = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise DeployError(
            f"the Python interpreter {python} cannot be run: {_reason(error)}",
            hint="Name one that has the package clipper-container.",
        ) from error
    has = set(found["modules"])
    names = (name for name, row in FRAMEWORKS.items() if has.issuperset(row.modules))
    return Interpreter(python, str(found["abi"]), frozenset(names))


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError) and error.stderr:
        return str(error.stderr.decode("utf-8", "replace").splitlines()[-1])
    return str(error)

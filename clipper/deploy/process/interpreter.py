"""The interpreter that runs models which ask for no packages, and what it can import.

It is asked once, when the manager opens: who installs a framework into it later starts the daemon
anew, or gets an environment that holds the framework.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from clipper.core.errors import DeployError
from clipper.deploy.frameworks import FRAMEWORKS
from clipper.deploy.process import probe

CPU = "-cpu"
"""How names of packages end that are others without CUDA: they do in the place of those."""
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
    packages: Mapping[str, str] = field(default_factory=dict)
    """What is installed for it: canonical names and versions."""

    def has(self, requirement: str) -> bool:
        """Whether what it has will do; which extras were installed nobody knows."""
        wanted = Requirement(requirement)
        if wanted.marker is not None and not wanted.marker.evaluate():
            return True
        name = canonicalize_name(wanted.name)
        version = self.packages.get(name) or self.packages.get(f"{name}{CPU}")
        return (
            version is not None
            and not wanted.extras
            and wanted.specifier.contains(version, prereleases=True)
        )


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
    packages: dict[str, str] = {
        canonicalize_name(name): str(version) for name, version in found["packages"].items()
    }
    return Interpreter(python, str(found["abi"]), frozenset(names), packages)


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError) and error.stderr:
        return str(error.stderr.decode("utf-8", "replace").splitlines()[-1])
    return str(error)

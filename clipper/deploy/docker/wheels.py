"""Packages for an image: found by this machine's pip, by its own settings, and unpacked here.

Only wheels are taken, those for the image's Python, C library and processor, so that nothing of a
package runs. Versions that the image has are kept where the requirements leave a choice.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from clipper.core.errors import DeployError

OLDEST_GLIBC = 17
PIP = (sys.executable, "-P", "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")

PROBE = """
import importlib.metadata, json, platform, sys
packages = reversed(list(importlib.metadata.distributions()))
print(json.dumps({
    "python": "%d.%d" % sys.version_info[:2],
    "machine": platform.machine(),
    "libc": platform.libc_ver(),
    "installed": {package.name: package.version for package in packages},
}))
"""
"""Prints what `Platform.parse` reads. Of a package that is there twice, the first counts."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What runs in an image."""

    python: str
    """`3.11`."""
    machine: str
    """`x86_64`."""
    glibc: int
    """36 for 2.36."""
    installed: Mapping[str, str]
    """Versions of packages, by their canonical names."""

    @classmethod
    def parse(cls, text: bytes) -> "Platform":
        """From what PROBE printed.

        Raises:
            DeployError: there are no wheels for such an image.
        """
        told = json.loads(text)
        library, version = told["libc"]
        if library != "glibc":
            raise DeployError(
                f"the image's C library is {library or 'unknown'}, and packages are for glibc",
                hint="Build on an image of Debian or Ubuntu.",
            )
        installed: dict[str, str] = {
            canonicalize_name(name): found for name, found in told["installed"].items()
        }
        return cls(told["python"], told["machine"], int(version.split(".")[1]), installed)

    def flags(self) -> list[str]:
        """By which pip takes wheels for it, whatever pip itself runs on; the newest are best."""
        abi = f"cp{self.python.replace('.', '')}"
        tags = [f"manylinux_2_{minor}" for minor in range(self.glibc, OLDEST_GLIBC - 1, -1)]
        flags = ["--only-binary=:all:", "--python-version", self.python, "--implementation", "cp"]
        for name in (abi, "abi3", "none"):
            flags += "--abi", name
        for tag in (*tags, "manylinux2014", "linux"):
            flags += "--platform", f"{tag}_{self.machine}"
        return flags


def unpack(requirements: Sequence[str], folder: Path, platform: Platform) -> None:
    """Put what is required, and is not installed already, into a folder; pip prints how it goes.

    Raises:
        DeployError: there are no such wheels.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report, installed = Path(scratch, "report.json"), Path(scratch, "installed.txt")
        pins = (f"{name}=={version}\n" for name, version in platform.installed.items())
        installed.write_text("".join(pins), encoding="utf-8")
        resolve = ["install", "--dry-run", "--ignore-installed", "--report", str(report)]
        resolve += ["--target", scratch, *platform.flags()]
        if not (
            _pip(*resolve, "--constraint", str(installed), "--", *requirements)
            or _pip(*resolve, "--", *requirements)
        ):
            raise DeployError(
                f"pip finds no wheels for {', '.join(requirements)}",
                hint=f"They have to be for Python {platform.python} on {platform.machine}, and to "
                "agree with one another; pip's own words are above.",
            )
        found = _found(json.loads(report.read_bytes()))
    missing = [
        f"{name}=={version}"
        for name, version in found.items()
        if platform.installed.get(name) != version
    ]
    unpacked = ("--no-deps", "--no-compile", "--target", str(folder), *platform.flags())
    if missing and not _pip("install", *unpacked, "--", *missing):
        raise DeployError(f"pip could not unpack {', '.join(missing)}")


def _found(report: Mapping[str, object]) -> dict[str, str]:
    """Versions by canonical names."""
    installs = report["install"]
    assert isinstance(installs, list)
    found = (one["metadata"] for one in installs)
    return {canonicalize_name(one["name"]): one["version"] for one in found}


def _pip(*arguments: str) -> bool:
    """Whether pip succeeded; what it has to say goes where our own output goes."""
    # From the root: a folder that has a package's name is no package.
    return subprocess.run([*PIP, *arguments], stdin=subprocess.DEVNULL, cwd="/").returncode == 0

"""Packages for pip where there is no index: made by hand, or of what is installed here."""

import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def write_wheel(folder: Path, name: str, version: str, code: str, needs: str = "") -> None:
    """A package that is one module."""
    info = f"{name}-{version}.dist-info"
    required = f"Requires-Dist: {needs}\n" if needs else ""
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def write_source(folder: Path, name: str, backend: str) -> None:
    """A package that pip has to build, with a build backend of its own."""
    project = f'[project]\nname = "{name}"\nversion = "1.0"\n'
    build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files: Mapping[str, str] = {
        "pyproject.toml": project + build,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "backend.py": backend,
    }
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def pack_installed(folder: Path, *names: str) -> None:
    """Wheels of packages that these tests run with, and of what they need."""
    for package in _with_needs(names):
        words = (package.read_text("WHEEL") or "").split()
        tag = words[words.index("Tag:") + 1]
        place = folder / f"{package.name.replace('-', '_')}-{package.version}-{tag}.whl"
        with zipfile.ZipFile(place, "w") as wheel:
            for file in package.files or ():
                if ".." not in file.parts and file.suffix != ".pyc":
                    wheel.write(file.locate(), str(file))


def _with_needs(names: tuple[str, ...]) -> Iterator[Distribution]:
    seen: set[str] = set()
    rest = list(names)
    while rest:
        name = rest.pop()
        if name in seen:
            continue
        seen.add(name)
        package = distribution(name)
        for line in package.requires or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                rest.append(need.name)
        yield package

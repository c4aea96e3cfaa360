"""Tells docker/build.sh what images there are, from the table that the daemon has them from.

    python docker/frameworks.py              the frameworks' names, a line each
    python docker/frameworks.py NAME [cuda]  what it is built on, its class, its requirements

It runs on any Python, with nothing installed.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from clipper.deploy.frameworks import FRAMEWORKS

WITH_CUDA = {
    "onnxruntime": "onnxruntime-gpu[cuda,cudnn]",
    "tensorflow-cpu": "tensorflow[and-cuda]",
    "xgboost-cpu": "xgboost",
}
"""Packages that have another name where they use GPUs; the others find out by themselves."""
BUILT_ON = {"transformers": "pytorch"}
"""Frameworks on another's image, as they share what is largest."""
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(.*)")


def lines(name: str, *variant: str) -> Iterator[str]:
    """The framework it is built on, or none; its class, unless models bring one; its packages."""
    yield BUILT_ON.get(name, "")
    file = f"{name}_container.py"
    has_class = (Path(__file__).parent.parent / "containers" / name / file).is_file()
    class_name = f"{name.title().replace('_', '')}Container"
    yield f"/opt/clipper/container/{file}:{class_name}" if has_class else ""
    for requirement in FRAMEWORKS[name].requirements:
        yield with_cuda(requirement) if "cuda" in variant else requirement


def with_cuda(requirement: str) -> str:
    """The requirement, of the package that uses GPUs."""
    found = REQUIREMENT.fullmatch(requirement)
    if found is None:
        return requirement
    package, rest = found.groups()
    return WITH_CUDA.get(package, package) + rest


if __name__ == "__main__":
    wanted = list(lines(*sys.argv[1:])) if sys.argv[1:] else list(FRAMEWORKS)
    sys.stdout.write("".join(f"{line}\n" for line in wanted))

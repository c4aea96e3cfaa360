"""Generates the Python code of the protos, one copy for the daemon and one for the container SDK.

    python proto/generate.py          write the generated files
    python proto/generate.py --check  write nothing; exit 1 and name the files that are not current

The two packages do not import each other, hence a copy each. Every generated module gets a
descriptor pool of its own: in the default pool, which is one per process, a second definition of
`grpc.health.v1` fails on import, and a model's code may well import grpcio-health-checking. (And
the folder of that proto is not named grpc, because checkers would take it for the library's.)
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROTO = Path(__file__).resolve().parent
ROOT = PROTO.parent
SOURCES = ("clipper/v1/model.proto", "health/v1/health.proto")
PACKAGES = ("clipper/rpc", "containers/python/clipper_container")
SHARED_POOL = "_descriptor_pool.Default()"
OWN_POOL = "_descriptor_pool.DescriptorPool()"


def generated() -> Iterator[tuple[Path, str]]:
    """Each generated file's place, relative to the project's root, and its text."""
    with tempfile.TemporaryDirectory() as folder:
        compile_into(folder)
        for source in SOURCES:
            for suffix in (".py", ".pyi"):
                module = Path(source.removesuffix(".proto") + "_pb2" + suffix)
                text = (Path(folder) / module).read_text(encoding="utf-8")
                for package in PACKAGES:
                    yield Path(package) / module.name, text.replace(SHARED_POOL, OWN_POOL)


def compile_into(folder: str) -> None:
    """Run the compiler that comes with grpcio-tools."""
    compiler = [sys.executable, "-m", "grpc_tools.protoc"]
    outputs = [f"--python_out={folder}", f"--pyi_out={folder}"]
    if subprocess.run([*compiler, f"-I{PROTO}", *outputs, *SOURCES], check=False).returncode:
        sys.exit("proto/generate.py: the compiler failed; see its messages above.")


def is_current(path: Path, text: str) -> bool:
    """Whether the file in the working tree is what would be generated."""
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main(arguments: list[str]) -> None:
    """Generate, or check."""
    if arguments not in ([], ["--check"]):
        sys.exit("usage: python proto/generate.py [--check]")
    stale = [(path, text) for path, text in generated() if not is_current(ROOT / path, text)]
    if arguments and stale:
        names = "\n".join(f"  {path}" for path, _ in stale)
        sys.exit(f"Not generated from the protos as they are:\n{names}\nRun: make proto")
    for path, text in stale:
        (ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

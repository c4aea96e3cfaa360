"""What docker/build.sh is told of the images that there are."""

import subprocess
import sys
from pathlib import Path

import pytest

from clipper.deploy.frameworks import FRAMEWORKS

ROOT = Path(__file__).parents[3]


def told(*arguments: str) -> list[str]:
    """What the script prints, run as where nothing is installed: alone, and from elsewhere."""
    script = ROOT / "docker" / "frameworks.py"
    command = [sys.executable, "-I", "-S", str(script), *arguments]
    return subprocess.run(
        command, cwd="/", check=True, capture_output=True, text=True
    ).stdout.splitlines()


def test_there_is_an_image_for_every_framework() -> None:
    assert told() == list(FRAMEWORKS)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_an_image_has_its_frameworks_class_and_packages(name: str) -> None:
    base, target, *requirements = told(name)
    assert requirements == list(FRAMEWORKS[name].requirements)
    assert base in ("", *FRAMEWORKS)
    if name == "python":
        assert target == ""
        return
    file, _, class_name = target.removeprefix("/opt/clipper/container/").partition(":")
    assert f"class {class_name}(" in (ROOT / "containers" / name / file).read_text()


def test_images_for_gpus_have_the_packages_that_use_them() -> None:
    assert any(line.startswith("onnxruntime-gpu[") for line in told("onnx", "cuda"))
    assert "torch>=2.2" in told("pytorch", "cuda")

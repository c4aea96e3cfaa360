"""An interpreter says what it is; one that cannot be run is named."""

import json
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest

from clipper.core.errors import DeployError
from clipper.deploy.process import probe
from clipper.deploy.process.interpreter import Interpreter, examine


def script(folder: Path, text: str) -> Path:
    """Something that is started like an interpreter."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def test_this_interpreter_has_the_frameworks_that_these_tests_have() -> None:
    found = examine(Path(sys.executable), {})
    assert found.python == Path(sys.executable)
    assert found.abi == sysconfig.get_config_var("SOABI")
    assert {"python", "noop", "sklearn"} <= found.frameworks


def test_a_framework_is_there_only_with_all_its_modules(tmp_path: Path) -> None:
    answer = json.dumps({"abi": "cpython-311", "modules": ["sklearn"], "packages": {}})
    found = examine(script(tmp_path, f"echo '{answer}'"), {})
    assert "sklearn" not in found.frameworks
    assert "python" in found.frameworks


@pytest.mark.parametrize(
    ("requirement", "is_there"),
    [
        ("scikit-learn", True),
        ("scikit-learn==1.9.1", True),
        ("scikit-learn<1.9,>=1.0", False),
        ("scikit-learn[plots]", False),
        ("xgboost", False),
        ("xgboost; python_version < '3'", True),
    ],
)
def test_what_is_installed_will_do_for_what_it_is(requirement: str, is_there: bool) -> None:
    packages = {"scikit-learn": "1.9.1"}
    assert Interpreter(Path("p"), "abi", frozenset(), packages).has(requirement) is is_there


def test_the_probe_knows_the_versions_of_what_is_installed() -> None:
    assert examine(Path(sys.executable), {}).has(f"numpy=={version('numpy')}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo no libpython >&2; exit 3", "no libpython"),
        ("exit 3", "exit status 3"),
        ("echo Hello", "Expecting value"),
    ],
)
def test_an_interpreter_that_fails_is_named_with_the_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    python = script(tmp_path, text)
    with pytest.raises(DeployError, match=reason) as refused:
        examine(python, {})
    assert str(python) in refused.value.message


def test_an_interpreter_that_is_not_there_is_named() -> None:
    with pytest.raises(DeployError, match="/no/python cannot be run"):
        examine(Path("/no/python"), {})


def test_the_probe_imports_nothing_and_finds_no_part_of_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text("raise SystemExit('imported')")
    answer = subprocess.run(
        [sys.executable, "-P", probe.__file__, "loud", "absent", "absent.part"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert json.loads(answer.stdout)["modules"] == ["loud"]

"""`model build` as its user sees it; the builder itself is a script here."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import clipper
from clipper.admin.commands import build
from clipper.deploy.docker.recipe import Recipe


@pytest.fixture
def model(tmp_path: Path) -> Path:
    model = tmp_path / "m.joblib"
    model.touch()
    return model


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the builder leaves what it was given; it says so, and succeeds."""
    file = tmp_path / "recipe.json"
    code = f"import sys; open({str(file)!r}, 'w').write(sys.argv[1]); print('Step 1/1 : FROM x')"
    monkeypatch.setattr(build, "BUILDER", (sys.executable, "-c", code))
    return file


def test_a_model_goes_into_an_image_of_its_name_on_its_frameworks(
    run: Any, model: Path, recipes: Path
) -> None:
    result = run("model", "build", "m", "3", str(model), "--requirement", "pandas>=2")
    assert result.exit_code == 0, result.stderr
    base = f"clipper/sklearn-container:{clipper.__version__}"
    expected = Recipe("clipper/m:3", base, ("pandas>=2",), model=model, code_serves=False)
    assert Recipe.parse(recipes.read_text()) == expected
    assert "Step 1/1 : FROM x" in result.stderr
    assert result.stderr.endswith(
        "Next: clipper-admin model deploy m 3 --framework sklearn --manager docker "
        "--image clipper/m:3\n"
    )


def test_nothing_is_deployed(run: Any, daemon: Any, model: Path, recipes: Path) -> None:
    assert run("model", "build", "m", "3", str(model)).exit_code == 0
    assert daemon.requests == []


def test_a_class_a_file_of_packages_another_name_and_gpus(
    run: Any, tmp_path: Path, recipes: Path
) -> None:
    (tmp_path / "rules.py").touch()
    (tmp_path / "packages.txt").write_text("# what it imports\npandas>=2\n\ntorch\n")
    result = run(
        *("model", "build", "rules", "1", f"{tmp_path}/rules.py:Rules", "--gpus", "--json"),
        *("--requirements", f"{tmp_path}/packages.txt", "--image", "registry.example:5000/rules:1"),
    )
    assert result.exit_code == 0, result.stderr
    recipe = Recipe.parse(recipes.read_text())
    assert recipe.requirements == ("pandas>=2", "torch")
    assert str(recipe.code) == f"{tmp_path}/rules.py:Rules"
    assert recipe.code_serves
    assert recipe.base == f"clipper/python-container:{clipper.__version__}-cuda"
    assert json.loads(result.stdout)["image"] == "registry.example:5000/rules:1"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--requirement", "--index-url=http://x"), "options of pip"),
        (("--requirement", "a; RUN id"), "a; RUN id"),
        (("--image", "a\nRUN id"), "no reference"),
        (("--prefix", "$(id)"), "no reference"),
        (("--framework", "$(id)"), "no reference"),
    ],
)
def test_what_could_be_taken_for_something_else_is_refused_before_anything_is_built(
    run: Any, model: Path, recipes: Path, arguments: tuple[str, ...], named: str
) -> None:
    result = run("model", "build", "m", "1", str(model), *arguments)
    assert result.exit_code == 2
    assert named in result.stderr
    assert "Next:" in result.stderr
    assert not recipes.exists()


def test_a_model_that_is_not_there_is_named(run: Any, recipes: Path) -> None:
    result = run("model", "build", "m", "1", "/nowhere/m.joblib")
    assert result.exit_code == 2
    assert "/nowhere/m.joblib" in result.stderr


def test_a_program_is_refused_as_it_is_where_it_is_deployed(run: Any, recipes: Path) -> None:
    result = run("model", "build", "m", "1", "/bin/sh", "--framework", "executable")
    assert result.exit_code == 2
    assert "is run by the manager process only" in result.stderr
    assert not recipes.exists()


def test_a_build_that_fails_is_told_apart_by_its_exit_code(
    run: Any, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import sys; print('Error: there is no image x'); sys.exit(1)"
    monkeypatch.setattr(build, "BUILDER", (sys.executable, "-c", code))
    result = run("model", "build", "m", "1", str(model))
    assert result.exit_code == 4
    assert "there is no image x" in result.stderr
    assert "clipper/m:1 was not built" in result.stderr

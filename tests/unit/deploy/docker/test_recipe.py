"""What goes into a Dockerfile, and what never does."""

from pathlib import Path
from typing import Any

import pytest

from clipper.core.errors import InvalidInput
from clipper.deploy.docker.recipe import Recipe, environment_image, framework_image
from clipper.deploy.program import Code

BASE = "clipper/sklearn-container:0.1.0"
HOSTILE = (
    "a\nRUN touch /tmp/owned",
    "a; RUN id",
    "$(id)",
    "`id`",
    "${PATH}",
    "$PATH",
    "--index-url=http://x",
    "-r /etc/passwd",
    "a @ file:///etc/passwd",
    "a @ git+https://x/y",
    'a" "b',
    "a'b",
    "a\\",
    "a\rRUN id",
    "a\u2028RUN id",
    "ａ",  # noqa: RUF001 -- a letter that looks like another
    "á",
    "a b",
    "a\tb",
    "a#b",
    "../a",
    "/etc/passwd",
    ".",
    "",
)


def recipe(**parts: Any) -> Recipe:
    return Recipe(**{"image": "clipper/m:1", "base": BASE, **parts})


def test_a_recipe_with_everything_is_a_dockerfile_of_known_lines(tmp_path: Path) -> None:
    model = tmp_path / "model.joblib"
    model.touch()
    code = Code(tmp_path / "rules.py", "Rules")
    assert recipe(
        requirements=("pandas>=2",), code=code, model=model
    ).dockerfile().splitlines() == [
        f"FROM {BASE}",
        "LABEL ai.clipper.built=unfinished",
        "USER 0",
        "COPY packages /opt/clipper/environment",
        "RUN python3 -I -m compileall -q -j 0 --invalidation-mode unchecked-hash "
        "/opt/clipper/environment || true",
        "COPY code /code",
        "ENV CLIPPER_CONTAINER_TARGET=/code/rules.py:Rules",
        "COPY model /model",
        "ENV CLIPPER_CONTAINER_MODEL_DATA=/model/model.joblib",
        "USER 10001:10001",
    ]


def test_a_folder_that_was_saved_is_the_model_itself(tmp_path: Path) -> None:
    text = recipe(model=tmp_path).dockerfile()
    assert "ENV CLIPPER_CONTAINER_MODEL_DATA=/model\n" in text


def test_a_class_that_only_loads_the_saved_model_does_not_take_the_frameworks_place() -> None:
    text = recipe(code=Code(Path("/x/net.py"), "Net"), code_serves=False).dockerfile()
    assert "ENV CLIPPER_CONTAINER_CODE=/code/net.py:Net\n" in text
    assert "TARGET" not in text


def test_requirements_reach_no_line_of_the_dockerfile() -> None:
    assert "pandas" not in recipe(requirements=("pandas>=2",)).dockerfile()


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("part", ["image", "base"])
def test_what_is_no_reference_to_an_image_is_refused(part: str, text: str) -> None:
    with pytest.raises(InvalidInput):
        recipe(**{part: text})


@pytest.mark.parametrize("text", [text for text in HOSTILE if text not in ("", "a#b")])
def test_what_is_no_requirement_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        recipe(requirements=(text,))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_class_whose_name_could_be_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="cannot go into an image"):
        recipe(code=Code(Path("/x/rules.py"), text))


@pytest.mark.parametrize("text", [text for text in HOSTILE if text.strip(".") and "/" not in text])
def test_a_file_whose_name_could_be_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="cannot go into an image"):
        recipe(code=Code(Path(f"/x/{text}.py"), "Rules"))
    with pytest.raises(InvalidInput, match="cannot go into an image"):
        recipe(model=Path("/x", text))


def test_a_recipe_goes_to_another_process_and_comes_out_the_same(tmp_path: Path) -> None:
    whole = recipe(
        requirements=("pandas>=2",),
        code=Code(tmp_path / "rules.py", "Rules"),
        code_serves=False,
        model=tmp_path,
        labels={"ai.clipper.instance": "x"},
    )
    assert Recipe.parse(whole.json()) == whole
    assert Recipe.parse(recipe().json()) == recipe()


def test_another_process_checks_again() -> None:
    text = recipe().json().replace(BASE, "a\\nRUN id")
    with pytest.raises(InvalidInput):
        Recipe.parse(text)


def test_the_image_of_an_environment_is_known_by_its_base_its_owner_and_its_packages() -> None:
    def name(image: str = BASE, owner: str = "x", *requirements: str) -> str:
        return environment_image("clipper", owner, image, requirements)

    plain = name(BASE, "x", "a", "b")
    assert plain == name(BASE, "x", "b", "a")
    assert plain.startswith("clipper/environment:")
    others = {name(BASE, "x", "a"), name(BASE, "y", "a", "b"), name("other:1", "x", "a", "b")}
    assert len({plain, *others}) == 4


def test_gpus_want_the_image_that_is_built_for_them() -> None:
    plain, gpus = (framework_image("mine", "pytorch", gpus=gpus) for gpus in (False, True))
    assert plain.startswith("mine/pytorch-container:")
    assert gpus == f"{plain}-cuda"

"""Models of R's, as R itself predicts with them."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.fakes.clipperd import descendants
from tests.fakes.needs import missing
from tests.fakes.watching import until
from tests.integration.frameworks.conftest import Refuse, Serve

FIT = r"""
library(jsonlite)
keep <- function(name, model, ...) {
  saveRDS(model, paste0(name, ".rds"))
  outputs <- predict(model, ...)
  write(toJSON(unname(outputs), digits = NA), paste0(name, ".json"))
}
keep("line", lm(Sepal.Length ~ Sepal.Width + Petal.Length, iris))
keep("logit", glm(am ~ wt + hp, binomial, mtcars), type = "response")
keep("kinds", lm(Sepal.Length ~ Species + Petal.Length, iris))
keep("both", lm(cbind(Sepal.Length, Sepal.Width) ~ Petal.Length, iris))
write(toJSON(iris, digits = NA), "iris.json")
write(toJSON(mtcars, digits = NA), "mtcars.json")
saveRDS(1:3, "numbers.rds")
"""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of saved models, of what R predicts with each, and of what it predicts for."""
    if shutil.which("Rscript") is None:
        missing("r", "it is not installed")
    folder = tmp_path_factory.mktemp("fitted")
    subprocess.run(["Rscript", "--vanilla", "-e", FIT], cwd=folder, check=True)
    return folder


def content(file: Path) -> Any:
    return json.loads(file.read_text())


def columns(file: Path, *names: str) -> Any:
    """float64[rows, names] of a table."""
    return np.array([[row[name] for name in names] for row in content(file)], np.float64)


async def test_rows_of_numbers_get_the_names_that_the_model_was_fitted_to(
    serve: Serve, fitted: Path
) -> None:
    served = await serve("r", fitted / "line.rds")
    rows = columns(fitted / "iris.json", "Sepal.Width", "Petal.Length")
    outputs = await served.predict(list(rows), "doubles")
    np.testing.assert_allclose(outputs, content(fitted / "line.json"), rtol=1e-12)
    assert await served.predict(list(rows[:1]), "doubles") == outputs[:1]
    assert served.description.model.startswith("R ")
    assert served.description.model.endswith(", lm")
    assert served.description.input_form == "Sepal.Width, Petal.Length"


async def test_the_output_option_is_the_type_of_predict(serve: Serve, fitted: Path) -> None:
    served = await serve("r", fitted / "logit.rds", output="response")
    rows = columns(fitted / "mtcars.json", "wt", "hp")
    outputs = await served.predict(list(rows), "doubles")
    np.testing.assert_allclose(outputs, content(fitted / "logit.json"), rtol=1e-12)


async def test_several_numbers_for_a_row_are_one_output(serve: Serve, fitted: Path) -> None:
    served = await serve("r", fitted / "both.rds")
    rows = columns(fitted / "iris.json", "Petal.Length")
    outputs = await served.predict(list(rows), "doubles")
    np.testing.assert_allclose(outputs, content(fitted / "both.json"), rtol=1e-12)


async def test_records_may_have_texts_and_what_r_refuses_is_an_error_of_its_batch_only(
    serve: Serve, fitted: Path
) -> None:
    served = await serve("r", fitted / "kinds.rds")
    records = content(fitted / "iris.json")
    outputs = await served.predict(records, "json")
    np.testing.assert_allclose(outputs, content(fitted / "kinds.json"), rtol=1e-12)
    stranger = {"Species": "schöne Blume\n", "Petal.Length": 1}
    refused = await served.result([*records, stranger], "json")
    assert "R says: factor Species has new levels schöne Blume" in refused.error.message
    assert await served.predict(records, "json") == outputs


async def test_what_is_missing_in_a_record_is_missing_to_r(serve: Serve, fitted: Path) -> None:
    served = await serve("r", fitted / "line.rds")
    records = [
        {"Sepal.Width": 1.0, "Petal.Length": 2.0},
        {"Sepal.Width": 1.0, "Petal.Length": None},
    ]
    told = (await served.result(records, "json")).error.message
    assert "Output 1 of the batch has nan in it" in told
    assert len(await served.predict(records[:1], "json")) == 1


async def test_rows_of_another_width_are_refused_with_the_names(serve: Serve, fitted: Path) -> None:
    served = await serve("r", fitted / "line.rds")
    for inputs, complaint in [
        ([[1, 2, 3]], "has 3 numbers; send 2: Sepal.Width, Petal.Length"),
        ([[1, 2], [3]], "differ in shape"),
        ([[np.nan, 1]], "not JSON compliant"),
    ]:
        assert complaint in (await served.result(inputs)).error.message
    assert len(await served.predict([[1, 2]])) == 1


async def test_what_is_no_model_is_told_so_by_r(
    serve: Serve, refuse: Refuse, fitted: Path, tmp_path: Path
) -> None:
    served = await serve("r", fitted / "numbers.rds")
    told = (await served.result([[1]])).error.message
    assert "no applicable method for 'predict'" in told
    (tmp_path / "model.rds").write_text("numpy")
    assert "model.rds cannot be read as a model of R's" in await refuse("r", tmp_path)


async def test_an_r_that_is_killed_takes_the_container_with_it(serve: Serve, fitted: Path) -> None:
    served = await serve("r", fitted / "line.rds")
    (child,) = (each for each in descendants(os.getpid()) if is_r(each))
    os.kill(child, signal.SIGKILL)
    until(lambda: not is_r(child), 10)
    with pytest.raises(grpc.aio.AioRpcError):
        await served.result([[1, 2]])


def is_r(pid: int) -> bool:
    """Whether it is one that serves."""
    try:
        return "serve.R" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


async def test_without_r_the_container_says_what_to_install(
    refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.rds").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install R and jsonlite" in await refuse("r", tmp_path)

"""A model in another language, deployed by one command."""

import shutil
import subprocess
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from clipper.admin.client import ClipperConnection
from tests.fakes.languages import binary_of, save_linear
from tests.fakes.needs import missing

X, Y = load_iris(return_X_y=True)


@pytest.mark.parametrize("language", ["cpp", "go"])
def test_a_program_that_speaks_the_protocol_is_deployed_by_its_path(
    clipper: ClipperConnection, tmp_path: Path, language: str
) -> None:
    model = LogisticRegression(max_iter=500).fit(X, Y)
    save_linear(model, tmp_path / "iris")
    program = str(binary_of(language))
    deployed = clipper.deploy_model(
        "iris", 1, "doubles", program, model_data=str(tmp_path / "iris"), num_replicas=2
    )
    assert deployed["deployment"]["framework"] == "executable"
    info = clipper.get_model_info("iris", 1)
    assert info is not None
    assert info["description"]["model"].startswith("linear model in ")
    assert info["description"]["input_form"] == "numbers[4]"
    clipper.register_application("flowers", "doubles", "none", slo_micros=5_000_000)
    clipper.link_model_to_app("flowers", "iris")
    answers = clipper.predict_batch("flowers", X.tolist())
    assert [one.explanation for one in answers if one.is_default] == []
    for one, expected in zip(answers, model.predict_proba(X), strict=True):
        assert one.output == pytest.approx(expected.tolist())
    (wrong,) = clipper.predict_batch("flowers", [[1.0]])
    assert "an input has 1 numbers; send 4" in wrong.explanation


def test_a_model_of_rs_is_deployed_by_its_file(clipper: ClipperConnection, tmp_path: Path) -> None:
    if shutil.which("Rscript") is None:
        missing("r", "it is not installed")
    file = tmp_path / "line.rds"
    fit = f"saveRDS(lm(dist ~ speed, cars), '{file}'); m <- readRDS('{file}')"
    ask = "cat(sprintf('%.17g', predict(m, data.frame(speed = 10))))"
    command = ["Rscript", "--vanilla", "-e", fit, "-e", ask]
    expected = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    deployed = clipper.deploy_model("cars", 1, "auto", str(file), framework="r")
    assert deployed["input_type"] == "floats"
    clipper.register_application("braking", "floats", "none", slo_micros=5_000_000)
    clipper.link_model_to_app("braking", "cars")
    assert clipper.predict("braking", [10.0]).output == pytest.approx(expected)

"""What the base class does for models: it warms them up, and learns from that."""

import logging
from typing import Any

import numpy as np
import pytest
from clipper_container import LoadError, ModelContainer
from clipper_container.answers import answer
from clipper_container.forms import Form, Forms


class Sums(ModelContainer):
    """Takes positive numbers only, where it is told to be strict."""

    strict = False

    def __init__(self, model_data: str = "") -> None:
        super().__init__(model_data)
        self.describe_inputs(Forms.one(Form(np.dtype(np.float32), (3,))))

    def predict_batch(self, inputs: Any) -> Any:
        if self.strict and not (inputs > 0).all():
            raise ValueError("zeros are nothing")
        return inputs.sum(axis=1)


def test_a_model_that_describes_its_inputs_is_warmed_up_and_its_outputs_are_seen() -> None:
    model = Sums()
    assert (model.input_type, model.input_form, model.output_form) == ("floats", "float32[3]", "")
    model.warm_up()
    assert model.output_form == "float32"


def test_what_a_model_says_of_its_outputs_stays() -> None:
    model = Sums()
    model.output_form = "a sum"
    model.warm_up()
    assert model.output_form == "a sum"


def test_a_model_that_refuses_a_guess_is_served_cold(caplog: pytest.LogCaptureFixture) -> None:
    model = Sums()
    model.strict = True
    with caplog.at_level(logging.WARNING):
        model.warm_up()
    assert "No warm-up: the model refuses a guess" in caplog.text
    assert "zeros are nothing" in caplog.text
    refused = "not warmed up: it refused zeros of float32[3]: ValueError: zeros are nothing"
    assert model.output_form == refused
    model.output_form, model.sample_input = "a sum", "a text"
    model.warm_up()
    assert model.output_form.startswith("a sum; not warmed up: it refused 'a text': ")


def test_a_model_that_refuses_its_own_sample_is_not_served() -> None:
    model = Sums()
    model.strict, model.sample_is_guess = True, False
    with pytest.raises(ValueError, match="zeros are nothing"):
        model.warm_up()


def test_an_output_that_is_not_there_is_found_before_any_query() -> None:
    class Picks(Sums):
        def predict_batch(self, inputs: Any) -> Any:
            return answer({"sum": inputs.sum(axis=1)}, "mean")

    with pytest.raises(LoadError, match="no output 'mean'; it has sum"):
        Picks().warm_up()


def test_a_model_knows_the_options_of_its_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPPER_CONTAINER_OUTPUT", "scores")
    assert Sums().options.output == "scores"

"""The deployment and the model name an input type each, or do not."""

import pytest
from clipper_container import LoadError, ModelContainer
from clipper_container.input_types import INPUT_TYPES, agreed, name_of


class Says(ModelContainer):
    def __init__(self, input_type: str) -> None:
        self.input_type = input_type


@pytest.mark.parametrize(
    ("said", "given", "served"),
    [
        ("", "any", "any"),
        ("", "bytes", "bytes"),
        ("doubles", "any", "doubles"),
        ("strings", "strings", "strings"),
        ("floats", "doubles", "doubles"),
        ("doubles", "integers", "integers"),
        ("floats", "integers", "integers"),
    ],
)
def test_the_deployments_input_type_holds_else_the_models(
    said: str, given: str, served: str
) -> None:
    assert agreed(Says(said), INPUT_TYPES[given]) == INPUT_TYPES[served]


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ("strings", "doubles"),
        ("floats", "strings"),
        ("json", "floats"),
        ("integers", "floats"),
        ("bytes", "strings"),
    ],
)
def test_a_model_is_not_served_for_what_it_does_not_take(said: str, given: str) -> None:
    with pytest.raises(LoadError, match=f"takes {said}, but it was deployed for {given}"):
        agreed(Says(said), INPUT_TYPES[given])


def test_an_input_type_that_does_not_exist_is_refused() -> None:
    with pytest.raises(LoadError, match=r"Says\.input_type is 'images', none of any, integers"):
        agreed(Says("images"), INPUT_TYPES["any"])


def test_a_model_of_any_class_need_not_say() -> None:
    assert agreed(object(), INPUT_TYPES["json"]) == INPUT_TYPES["json"]


def test_a_number_that_is_no_input_type_has_a_name_too() -> None:
    assert name_of(INPUT_TYPES["json"]) == "json"
    assert name_of(99) == "input type 99"

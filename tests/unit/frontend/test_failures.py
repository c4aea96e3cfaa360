"""Which status goes with which error, and in which shape."""

import json

import pytest

from clipper.core import errors
from clipper.frontend.failures import error_response, status_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidInput, 400),
        (errors.RequestError, 400),
        (errors.UnknownApplication, 404),
        (errors.UnknownModel, 404),
        (errors.UnknownQuery, 404),
        (errors.AlreadyExists, 409),
        (errors.Incompatible, 409),
        (errors.QueueFull, 429),
        (errors.DeployError, 502),
        (errors.ModelFailed, 502),
        (errors.Conflict, 503),
        (errors.NewerSchema, 503),
        (errors.SettingsError, 500),
    ],
)
def test_the_status_is_that_of_the_nearest_class(
    error: type[errors.ClipperError], status: int
) -> None:
    assert status_of(error()) == status


def test_the_api_says_code_message_and_hint() -> None:
    error = errors.UnknownModel("There is no m:1.", hint="Deploy it.")
    response = error_response(error, "/api/v1/models/m")
    expected = {"code": "unknown_model", "message": "There is no m:1.", "hint": "Deploy it."}
    assert json.loads(bytes(response.body)) == {"error": expected}


def test_other_routes_say_error_and_cause() -> None:
    response = error_response(errors.StateError("The disk is full.", hint="Make room."), "/metrics")
    assert json.loads(bytes(response.body)) == {
        "error": "Service Unavailable",
        "cause": "The disk is full. Make room.",
    }


def test_what_may_pass_says_when_to_ask_again() -> None:
    assert error_response(errors.QueueFull(), "/api/v1/x").headers["retry-after"] == "1"
    assert "retry-after" not in error_response(errors.InvalidInput(), "/api/v1/x").headers

"""The command line and its environment."""

from pathlib import Path

import pytest
from clipper_container import model_pb2
from clipper_container.arguments import parse_arguments

LINE = ["model.py:M", "--listen", "unix:/run/m.sock"]


def test_a_target_and_an_address_are_enough() -> None:
    arguments = parse_arguments(LINE, {})
    assert arguments.target == arguments.label == "model.py:M"
    assert arguments.model_data == ""
    assert arguments.ready_file is None
    assert arguments.server.listen == "unix:/run/m.sock"
    assert arguments.server.input_type == model_pb2.INPUT_TYPE_UNSPECIFIED
    assert arguments.server.token == ""
    assert arguments.server.max_message_bytes == 256 * 1024 * 1024


def test_everything_may_come_from_the_environment() -> None:
    settings = {
        "TARGET": "model.py:M",
        "LISTEN": "0.0.0.0:80",
        "MODEL_DATA": "/model",
        "INPUT_TYPE": "json",
        "READY_FILE": "/run/ready",
        "TOKEN": "secret",
        "MAX_MESSAGE_BYTES": "1000",
        "NAME": "m",
        "VERSION": "2",
    }
    environment = {f"CLIPPER_CONTAINER_{name}": value for name, value in settings.items()}
    arguments = parse_arguments([], environment)
    assert (arguments.target, arguments.model_data) == ("model.py:M", "/model")
    assert arguments.ready_file == Path("/run/ready")
    assert arguments.label == "m:2"
    assert arguments.server.listen == "0.0.0.0:80"
    assert arguments.server.input_type == model_pb2.JSON
    assert arguments.server.max_message_bytes == 1000


def test_the_command_line_wins_over_the_environment() -> None:
    environment = {"CLIPPER_CONTAINER_LISTEN": "1.2.3.4:5", "CLIPPER_CONTAINER_TARGET": "other:O"}
    arguments = parse_arguments(LINE, environment)
    assert (arguments.target, arguments.server.listen) == ("model.py:M", "unix:/run/m.sock")


def test_the_token_is_taken_out_of_the_environment() -> None:
    environment = {"CLIPPER_CONTAINER_TOKEN": "secret"}
    assert parse_arguments(LINE, environment).server.token == "secret"
    assert environment == {}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ([], "no target: give it here, or in CLIPPER_CONTAINER_TARGET"),
        (["model.py:M"], "no listen: give it here, or in CLIPPER_CONTAINER_LISTEN"),
        ([*LINE, "--input-type", "tensor"], "'tensor' is none of any, integers, floats"),
        ([*LINE, "--max-message-bytes", "0"], "'0' is no number from 1 to"),
        ([*LINE, "--max-message-bytes", "4294967296"], "is no number from 1 to"),
        ([*LINE, "--unknown"], "unrecognized arguments"),
    ],
)
def test_a_bad_argument_ends_with_code_2_and_its_name(
    line: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(line, {})
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_bad_value_in_the_environment_is_refused_as_on_the_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(LINE, {"CLIPPER_CONTAINER_INPUT_TYPE": "tensor"})
    assert "'tensor' is none of" in capsys.readouterr().err

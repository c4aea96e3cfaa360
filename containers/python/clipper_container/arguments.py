"""The command line of a container, with the environment where it is silent."""

import argparse
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipper_container import model_pb2
from clipper_container.input_types import INPUT_TYPES
from clipper_container.options import PREFIX
from clipper_container.server import MAX_MESSAGE_BYTES, ServerSettings

MESSAGE_BYTES_MAX = 2**31 - 1
"""No protobuf message is larger."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What to serve, and how."""

    target: str
    model_data: str
    ready_file: Path | None
    label: str
    """What is served, for the log."""
    server: ServerSettings


def parse_arguments(arguments: Sequence[str], environment: MutableMapping[str, str]) -> Arguments:
    """Read the arguments; a bad one ends the process with exit code 2, as argparse has it.

    The token is taken out of the environment, where whatever a model starts would inherit it.
    """
    token = environment.pop(f"{PREFIX}TOKEN", "")
    parser = _parser({key: value for key, value in environment.items() if value})
    given = parser.parse_args(arguments)
    for name in ("target", "listen"):
        if not getattr(given, name):
            parser.error(f"no {name}: give it here, or in {PREFIX}{name.upper()}")
    named = ":".join(part for part in (given.name, given.version) if part)
    return Arguments(
        target=given.target,
        model_data=given.model_data,
        ready_file=Path(given.ready_file) if given.ready_file else None,
        label=named or given.target,
        server=ServerSettings(given.listen, given.input_type, token, given.max_message_bytes),
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clipper_container",
        description="Serves one Python model to Clipper.",
        epilog=f"Whatever is not given here is taken from the environment: {PREFIX}TARGET, "
        f"{PREFIX}LISTEN and so on. {PREFIX}TOKEN, which every call then has to carry, comes from "
        "there only: command lines are for all to read.",
    )

    def add(flag: str, help: str, default: str = "", parse: Callable[[str], object] = str) -> None:
        variable = PREFIX + flag.strip("-").replace("-", "_").upper()
        parser.add_argument(flag, help=help, type=parse, default=environment.get(variable, default))

    add("--model-data", "handed to the class; usually the path of the saved model")
    add("--listen", "unix:/path/to.sock or host:port")
    add("--input-type", ", ".join(INPUT_TYPES), "any", _input_type)
    add("--ready-file", "a file that exists, and holds the address, while batches are served")
    add("--max-message-bytes", "the limit of one batch", str(MAX_MESSAGE_BYTES), _message_bytes)
    add("--name", "the model's name, for the log")
    add("--version", "the model's version, for the log")
    parser.add_argument(
        "target",
        help="module:Class or file.py:Class",
        nargs="?",
        default=environment.get(f"{PREFIX}TARGET"),
    )
    return parser


def _input_type(text: str) -> model_pb2.InputType:
    if text not in INPUT_TYPES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(INPUT_TYPES)}")
    return INPUT_TYPES[text]


def _message_bytes(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MESSAGE_BYTES_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MESSAGE_BYTES_MAX}")
    return int(text)

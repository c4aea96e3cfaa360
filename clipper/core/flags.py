"""The daemon's command line, made from the settings: every setting is a flag."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, get_args, get_origin

from clipper import __version__
from clipper.core.errors import SettingsError
from clipper.core.settings import Settings
from clipper.core.sources import did_you_mean


@dataclass(frozen=True, slots=True)
class Flag:
    """How one setting is given on the command line."""

    name: str
    """`--query-port`."""
    key: str
    """`query_port`."""
    metavar: str
    """What to write after it; empty for an on-off flag."""
    help: str
    """What it means, with unit, range and default."""


def _flag(key: str) -> Flag:
    field = Settings.model_fields[key]
    kind: Any = field.annotation
    text = field.description or key
    default = field.default
    if default not in ("", False):
        text += (
            f" (default: {default:g})" if isinstance(default, float) else f" (default: {default})"
        )
    return Flag(f"--{key.replace('_', '-')}", key, _metavar(key, kind), text)


def _metavar(key: str, kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    if kind is bool:
        return ""
    suffixes = {"_s": "SECONDS", "_bytes": "BYTES", "_port": "PORT", "_file": "FILE"}
    named = {"config": "FILE", "data_dir": "DIR", "store": "URL", "host": "ADDRESS"}
    found = (text for suffix, text in suffixes.items() if key.endswith(suffix))
    return named.get(key) or next(found, "N" if kind is int else "TEXT")


FLAGS = tuple(_flag(key) for key in Settings.model_fields)


class _Parser(argparse.ArgumentParser):
    """Raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(message, hint="clipperd --help lists the flags.")


def parse_flags(argv: Sequence[str]) -> dict[str, Any]:
    """The flags that were given, by key, for `load_settings`; --help and --version exit with 0.

    Raises:
        SettingsError: there is no such flag, or its value is missing.
    """
    parser = _parser()
    given, unknown = parser.parse_known_args(list(argv))
    if unknown:
        raise _unknown(next((text for text in unknown if text.startswith("-")), unknown[0]))
    return vars(given)


def _unknown(argument: str) -> SettingsError:
    name = argument.partition("=")[0]
    hint = "Everything is a flag; clipperd --help lists them."
    if name.startswith("--"):
        key = name.removeprefix("--").replace("-", "_")
        hint = did_you_mean(key, {flag.key: flag.name for flag in FLAGS})
    return SettingsError(f"{name} is no flag of clipperd", hint=hint)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="clipperd",
        description="Serve predictions. Every flag --x-y is also the environment variable "
        "CLIPPER_X_Y and the key x_y of the file that --config names.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"clipperd {__version__}")
    for flag in FLAGS:
        text = flag.help.replace("%", "%%")
        if flag.metavar:
            parser.add_argument(flag.name, dest=flag.key, metavar=flag.metavar, help=text)
        else:
            action = argparse.BooleanOptionalAction
            parser.add_argument(flag.name, dest=flag.key, action=action, help=text)
    return parser

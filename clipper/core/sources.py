"""Where settings come from: flags, environment variables and a TOML file, each a layer.

A layer keeps with every value what the operator has to change if the value is refused.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clipper.core.errors import SettingsError

PREFIX = "CLIPPER_"
MAX_FILE_BYTES = 1 << 20
TOKENS = ("admin_token", "query_token")
"""Settings that may also be given as a file, under their name with `_file`."""

# Variables of the same prefix that other programs read.
_CONTAINERS = "CLIPPER_CONTAINER_"
_ADMIN_CLIENT = frozenset({"CLIPPER_URL", "CLIPPER_TOKEN", "CLIPPER_QUERY_URL"})

_TRUTH = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(
    ("false", "no", "off", "0"), False
)


@dataclass(frozen=True, slots=True)
class Given:
    """A value as somebody gave it."""

    value: Any
    source: str
    """What the operator has to change: `--host`, `CLIPPER_HOST`, `host in /etc/clipper.toml`."""


Layer = Mapping[str, Given]
Kinds = Mapping[str, Any]
"""The settings' keys and their types."""


def did_you_mean(name: str, known: Mapping[str, str]) -> str:
    """A hint for a key that does not exist, from the known keys and how each is written here."""
    if close := difflib.get_close_matches(name, known, n=1):
        return f"Did you mean {known[close[0]]}?"
    return f"The choices are: {', '.join(sorted(known.values()))}."


def from_flags(flags: Mapping[str, Any], kinds: Kinds) -> Layer:
    """Flags by key; None is not given."""
    names = {key: f"--{key.replace('_', '-')}" for key in kinds}
    for key in flags:
        if key not in names:
            raise SettingsError(f"{key} is no setting", hint=did_you_mean(key, names))
    return {
        key: Given(_from_text(kinds[key], value), names[key])
        for key, value in flags.items()
        if value is not None
    }


def from_environment(environ: Mapping[str, str], kinds: Kinds) -> Layer:
    """Variables of our prefix; an empty one is given, not absent."""
    names = {key: f"{PREFIX}{key.upper()}" for key in kinds}
    keys = {name: key for key, name in names.items()}
    layer = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.startswith(_CONTAINERS) or name in _ADMIN_CLIENT:
            continue
        if name not in keys:
            raise SettingsError(
                f"the environment variable {name} is no setting",
                hint=f"{did_you_mean(name.removeprefix(PREFIX).lower(), names)} "
                f"Variables that start with {PREFIX} are reserved.",
            )
        layer[keys[name]] = Given(_from_text(kinds[keys[name]], environ[name]), name)
    return layer


def from_file(config: Given, kinds: Kinds) -> Layer:
    """The top-level keys of a TOML file, which cannot name another file."""
    path = config.value
    try:
        table = tomllib.loads(read_text(path, config.source))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(
            f"{path} is not valid TOML: {error}", hint='Write one setting a line: host = "0.0.0.0".'
        ) from error
    known = {key: key for key in kinds if key != "config"}
    for key in table:
        if key not in known:
            raise SettingsError(f"{key} in {path} is no setting", hint=did_you_mean(key, known))
    return {key: Given(value, f"{key} in {path}") for key, value in table.items()}


def overlay(layers: Iterable[Layer]) -> dict[str, Given]:
    """The later layer wins; a token and its file are two ways to give one thing."""
    given: dict[str, Given] = {}
    for layer in layers:
        for key in TOKENS:
            pair = {key, f"{key}_file"}
            if pair <= layer.keys():
                raise SettingsError(
                    f"{layer[key].source} and {layer[f'{key}_file'].source} are both given",
                    hint="Keep one of the two.",
                )
            if pair & layer.keys():
                given = {name: entry for name, entry in given.items() if name not in pair}
        given |= layer
    return given


def _from_text(kind: Any, value: Any) -> Any:
    """What a text stands for by its type; itself if it stands for nothing."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if not isinstance(value, str):
        return value
    try:
        if kind is bool:
            return _TRUTH[value.lower()]
        return kind(value) if kind in (int, float) else value
    except (KeyError, ValueError):
        return value


def read_text(path: Any, source: str) -> str:
    """A small text file that a setting names."""
    try:
        if not isinstance(path, str):  # an integer would be taken for an open file's number
            raise TypeError("it must be a path in quotes")
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"it is larger than {MAX_FILE_BYTES} bytes")
        return content.decode()
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(
            f"the file {path!r} ({source}) cannot be read: {reason}",
            hint="Name a text file that the daemon's user may read.",
        ) from error

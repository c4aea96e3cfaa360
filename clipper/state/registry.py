"""The configuration as typed records: applications, models, and each model's current version.

Every record is one JSON text under a key of its kind; names hold no slash, so that keys are unique:
`app/<name>`, `model/<name>/<version>`, `current/<name>`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from clipper.core.config import Config
from clipper.core.errors import InvalidInput, StateError
from clipper.core.types import Application, Model
from clipper.state.store import Configuration, Store

Record = Application | Model | str
_KINDS: Mapping[str, Any] = {"app": Application, "model": Model, "current": str}


class Registry:
    """Loads and saves configurations; keeps nothing between calls."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def revision(self) -> int:
        """The stored configuration's revision; cheap, to see whether another daemon changed it."""
        return await self._store.revision()

    async def load(self) -> Config:
        """The stored configuration.

        Raises:
            StateError: the store fails, or a record in it cannot be read.
        """
        return from_records(await self._store.read())

    async def save(self, before: Config, after: Config) -> Config:
        """Store what differs between the two; returns `after` at its new revision.

        Raises:
            Conflict: somebody saved since `before` was loaded; nothing was written.
            InvalidInput: a record holds what would not be read back as it is; likewise.
            StateError: the store failed; whether it was written is to be seen by loading again.
        """
        old, new = dict(_records(before)), dict(_records(after))
        changes: dict[str, bytes | None] = dict.fromkeys(old.keys() - new.keys())
        changes |= {
            key: _encode(key, record)
            for key, record in new.items()
            if key not in old or old[key] != record
        }
        if not changes:
            return replace(after, revision=before.revision)
        revision = await self._store.commit(changes, expected=before.revision)
        return replace(after, revision=revision)


def to_records(config: Config) -> Configuration:
    """A configuration as texts, each of which decodes to an equal record.

    Raises:
        InvalidInput: a record holds what would not be read back as it is.
    """
    return Configuration(
        config.revision, {key: _encode(key, record) for key, record in _records(config)}
    )


def from_records(stored: Configuration) -> Config:
    """A configuration from its texts.

    Raises:
        StateError: a record cannot be read.
    """
    revision, texts = stored
    records = [_decode(key, text) for key, text in texts.items()]
    return Config(
        {record.name: record for record in records if isinstance(record, Application)},
        {record.id: record for record in records if isinstance(record, Model)},
        {
            key.removeprefix("current/"): record
            for key, record in zip(texts, records, strict=True)
            if isinstance(record, str)
        },
        revision,
    )


def _records(config: Config) -> Iterator[tuple[str, Record]]:
    for application in config.applications.values():
        yield _key(application), application
    for model in config.models.values():
        yield _key(model), model
    for name, version in config.current.items():
        yield f"current/{name}", version


def _key(record: Application | Model) -> str:
    if isinstance(record, Application):
        return f"app/{record.name}"
    return f"model/{record.id.name}/{record.id.version}"


def _encode(key: str, record: Record) -> bytes:
    """JSON that is known to decode to an equal record: msgspec writes a NaN as null, for one."""
    try:
        text = msgspec.json.encode(record, enc_hook=_plain)
        problem: object = "it would not be read back as it is"
        if _parse(key, text) == record:
            return text
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        problem = error
    raise InvalidInput(f"{key} cannot be stored: {problem}", hint="Give it plain JSON values.")


def _decode(key: str, text: bytes) -> Record:
    try:
        return _parse(key, text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise StateError(
            f"the record {key} cannot be read: {error}",
            hint="Restore the store from a backup, or delete that record from it.",
        ) from error


def _parse(key: str, text: bytes) -> Record:
    """One record, of the kind and the name that its key says, with nothing left over."""
    kind = key.partition("/")[0]
    if kind not in _KINDS:
        raise ValueError("there are no records of this kind")
    members = msgspec.json.decode(text)
    record: Record = msgspec.convert(members, type=_KINDS[kind])
    if unknown := _unknown(members, msgspec.to_builtins(record)):
        raise ValueError(f"it has unknown members: {', '.join(unknown)}")
    if not isinstance(record, str) and _key(record) != key:
        raise ValueError(f"it is the record {_key(record)}")
    return record


def _unknown(members: Any, known: Any) -> list[str]:
    """Members of the JSON value that the record made from it does not have."""
    if not isinstance(members, dict) or not isinstance(known, dict):
        return []
    unknown = sorted(members.keys() - known.keys())
    return unknown + [
        name for key in members.keys() & known.keys() for name in _unknown(members[key], known[key])
    ]


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} is no JSON value")

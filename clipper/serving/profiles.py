"""What was learned of each model's latency, kept across restarts.

A daemon that comes back would have to find every batch size limit anew, and until then answer less
than it can. The store keeps a profile for each model version; it is a hint, so that a store that is
away, or a profile that somebody else wrote meanwhile, is no error.
"""

import contextlib
from collections.abc import Iterable

import msgspec

from clipper.abstraction.latency import Profile
from clipper.abstraction.layer import ServedModel
from clipper.core.errors import Conflict, StateError
from clipper.core.types import ModelId
from clipper.state.store import Store


class Profiles:
    """Profiles in the store; none of the methods raises where the store fails."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._saved: dict[ModelId, Profile] = {}

    async def recall(self, served: ServedModel) -> None:
        """Tell a model what an earlier life knew of it, unless it knows better by now."""
        with contextlib.suppress(StateError, msgspec.MsgspecError):
            cell = await self._store.get(_key(served.id))
            if cell is not None and served.known_profile() is None:
                served.profile = msgspec.json.decode(cell.value, type=Profile)
                self._saved[served.id] = served.profile

    async def save(self, models: Iterable[ServedModel]) -> None:
        """Keep what the models have learned since the last time."""
        for served in models:
            profile = served.known_profile()
            if profile is not None and profile != self._saved.get(served.id):
                self._saved[served.id] = profile
                with contextlib.suppress(StateError, Conflict):
                    await self._write(_key(served.id), profile)

    async def _write(self, key: str, profile: Profile) -> None:
        cell = await self._store.get(key)
        expected = 0 if cell is None else cell.version
        await self._store.swap(key, msgspec.json.encode(profile), expected=expected)

    async def forget(self, model: ModelId) -> None:
        """The version was deleted; another of its name may be quite another model."""
        self._saved.pop(model, None)
        with contextlib.suppress(StateError):
            await self._store.discard(_key(model))


def _key(model: ModelId) -> str:
    # The last part ends the version: what is discarded by prefix must not match a longer one.
    return f"latency/{model.name}/{model.version}/profile"

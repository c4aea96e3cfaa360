"""Any sequence of calls has the same outcome on SQLite as in memory."""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clipper.core.errors import Conflict
from clipper.state.memory import MemoryStore
from clipper.state.sqlite import SqliteStore
from clipper.state.store import Store

Call = Callable[[Store], Awaitable[Any]]

# Few and alike, so that calls meet; any code point, so that order and prefixes are put to the test.
keys = st.text("ab/\0é\ud800\uffff\U0010ffff", max_size=3)
blobs = st.binary(max_size=4)
versions = st.integers(0, 3)

calls: st.SearchStrategy[Call] = st.one_of(
    st.builds(
        lambda changes, expected: lambda store: store.commit(changes, expected=expected),
        st.dictionaries(keys, st.none() | blobs, max_size=3),
        versions,
    ),
    st.builds(
        lambda key, value, expected: lambda store: store.swap(key, value, expected=expected),
        keys,
        blobs,
        versions,
    ),
    st.builds(lambda key: lambda store: store.get(key), keys),
    st.builds(lambda prefix: lambda store: store.discard(prefix), keys),
    st.builds(lambda key, count: lambda store: store.reserve(key, count), keys, st.integers(1, 5)),
    st.just(lambda store: store.read()),
    st.just(lambda store: store.revision()),
)


async def outcome(call: Call, store: Store) -> Any:
    try:
        return await call(store)
    except Conflict:
        return Conflict


@settings(deadline=None, max_examples=60)
@given(st.lists(calls, max_size=25))
async def test_sqlite_does_what_memory_does(history: list[Call]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory, sqlite = MemoryStore(), SqliteStore(Path(folder, "clipper.db"))
        await memory.open()
        await sqlite.open()
        for call in history:
            assert await outcome(call, sqlite) == await outcome(call, memory)
        assert await sqlite.read() == await memory.read()
        await sqlite.close()

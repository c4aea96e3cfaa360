"""What every store keeps to, the one in memory included."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from clipper.core.errors import Conflict, StateError
from clipper.state.memory import Memory, MemoryStore
from clipper.state.redis import RedisStore
from clipper.state.sqlite import SqliteStore
from clipper.state.store import CHANGES_KEPT, NOW, Cell, Store

Handles = Callable[[], Store]
Opener = Callable[[], Awaitable[Store]]

ODD_KEYS = [
    "",
    "a b",
    "a\0b",
    "a*b?[c]\\d^-",
    "häß/中文/🎉",
    "\U0010ffff",
    "\ud800",
    "line\nbreak\r\n",
    "x" * 10_000,
]


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def handle(request: pytest.FixtureRequest, tmp_path: Path) -> Handles:
    """Makes handles, not yet opened, on one and the same new store."""
    if request.param == "memory":
        memory = Memory()
        return lambda: MemoryStore(memory)
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "state" / "clipper.db")
    url = request.getfixturevalue("redis_url")
    prefix = request.getfixturevalue("redis_prefix")
    return lambda: RedisStore(url, prefix=prefix)


@pytest.fixture
async def opened(handle: Handles) -> AsyncIterator[Opener]:
    """Makes opened handles on one store, and closes them in the end."""
    async with AsyncExitStack() as stack:

        async def open_another() -> Store:
            store = handle()
            await store.open()
            stack.push_async_callback(store.close)
            return store

        yield open_another


@pytest.fixture
async def store(opened: Opener) -> Store:
    return await opened()


async def test_a_new_store_is_empty_at_revision_0(store: Store) -> None:
    assert await store.revision() == 0
    assert await store.read() == (0, {})
    assert await store.get("cell") is None


async def test_a_commit_writes_replaces_and_deletes_under_the_next_revision(store: Store) -> None:
    assert await store.commit({"a": b"1", "b": b"2"}, expected=0) == 1
    assert await store.commit({"a": None, "b": b"3", "c": b""}, expected=1) == 2
    assert await store.revision() == 2
    assert await store.read() == (2, {"b": b"3", "c": b""})


async def test_deleting_what_is_not_there_is_a_commit_like_any_other(store: Store) -> None:
    assert await store.commit({"nothing": None}, expected=0) == 1
    assert await store.commit({}, expected=1) == 2
    assert await store.read() == (2, {})


@pytest.mark.parametrize("expected", [0, 2, -1])
async def test_a_commit_at_another_revision_is_a_conflict_and_writes_nothing(
    store: Store, expected: int
) -> None:
    await store.commit({"a": b"1"}, expected=0)
    with pytest.raises(Conflict, match="changed it first"):
        await store.commit({"a": b"2", "b": b"2"}, expected=expected)
    assert await store.read() == (1, {"a": b"1"})


async def test_values_are_kept_byte_by_byte(store: Store) -> None:
    value = bytes(range(256)) * 4096
    await store.commit({"binary": value}, expected=0)
    await store.swap("binary", value, expected=0)
    assert (await store.read()).records["binary"] == value
    assert await store.get("binary") == Cell(value, 1)


@pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
async def test_any_text_is_a_key(store: Store, key: str) -> None:
    await store.commit({key: b"record"}, expected=0)
    await store.swap(key, b"cell", expected=0)
    assert (await store.read()).records == {key: b"record"}
    assert await store.get(key) == Cell(b"cell", 1)
    assert await store.reserve(key, 2) == 0
    assert await store.reserve(key, 2) == 2


async def test_a_configuration_that_was_read_does_not_change_afterwards(store: Store) -> None:
    await store.commit({"a": b"1"}, expected=0)
    before = await store.read()
    await store.commit({"a": b"2"}, expected=1)
    assert before == (1, {"a": b"1"})


async def test_a_large_configuration_is_one_commit(store: Store) -> None:
    records = {f"app/{number}": b"x" * 100 for number in range(5000)}
    await store.commit(records, expected=0)
    assert (await store.read()).records == records
    await store.commit(dict.fromkeys(records), expected=1)
    assert (await store.read()).records == {}


async def test_cells_are_swapped_by_version(store: Store) -> None:
    assert await store.swap("a", b"1", expected=0) == 1
    assert await store.swap("a", b"2", expected=1) == 2
    assert await store.get("a") == Cell(b"2", 2)


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_a_swap_at_another_version_is_a_conflict_and_writes_nothing(
    store: Store, expected: int
) -> None:
    await store.swap("a", b"1", expected=0)
    await store.swap("a", b"2", expected=1)
    with pytest.raises(Conflict):
        await store.swap("a", b"3", expected=expected)
    assert await store.get("a") == Cell(b"2", 2)


async def test_a_cell_that_is_absent_has_no_version_to_name(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.swap("a", b"1", expected=1)
    assert await store.get("a") is None


async def test_cells_leave_the_configuration_alone(store: Store) -> None:
    await store.commit({"a": b"record"}, expected=0)
    await store.swap("a", b"cell", expected=0)
    await store.discard("")
    assert await store.read() == (1, {"a": b"record"})
    assert await store.get("a") is None


@pytest.mark.parametrize("prefix", [key for key in ODD_KEYS if key], ids=ascii)
async def test_discard_takes_the_cells_under_its_prefix_and_no_others(
    store: Store, prefix: str
) -> None:
    inside = [prefix, prefix + "0", prefix + "\0", prefix + "\U0010ffff" * 3]
    outside = ["~", prefix[:-1] + "!", "!" + prefix, prefix[:-1]]
    for key in inside + outside:
        await store.swap(key, b"", expected=0)
    await store.discard(prefix)
    assert [await store.get(key) for key in inside] == [None] * len(inside)
    assert [await store.get(key) for key in outside] == [Cell(b"", 1)] * len(outside)


async def test_a_discarded_cell_begins_again(store: Store) -> None:
    await store.swap("a", b"1", expected=0)
    await store.discard("a")
    assert await store.swap("a", b"2", expected=0) == 1


async def test_thousands_of_cells_are_discarded_at_once(store: Store) -> None:
    await asyncio.gather(*(store.swap(f"app/x/{n}", b"", expected=0) for n in range(2500)))
    await store.swap("app/y/0", b"", expected=0)
    await store.discard("app/x/")
    assert [await store.get(f"app/x/{n}") for n in range(0, 2500, 100)] == [None] * 25
    assert await store.get("app/y/0") == Cell(b"", 1)


async def test_counters_start_at_0_and_count_apart(store: Store) -> None:
    assert await store.reserve("a", 10) == 0
    assert await store.reserve("a", 1) == 10
    assert await store.reserve("b", 1) == 0


async def test_what_one_handle_wrote_the_other_sees_at_once(opened: Opener) -> None:
    one, other = await opened(), await opened()
    await one.commit({"a": b"1"}, expected=0)
    await one.swap("c", b"1", expected=0)
    assert await other.read() == (1, {"a": b"1"})
    assert await other.get("c") == Cell(b"1", 1)
    await other.discard("c")
    assert await one.get("c") is None


async def test_of_two_handles_that_commit_at_once_one_wins(opened: Opener) -> None:
    stores = [await opened() for _ in range(4)]
    outcomes = await asyncio.gather(
        *(store.commit({"a": b"%d" % n}, expected=0) for n, store in enumerate(stores)),
        return_exceptions=True,
    )
    assert outcomes.count(1) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 3
    assert await stores[0].read() == (1, {"a": b"%d" % outcomes.index(1)})


async def test_of_two_handles_that_swap_at_once_one_wins(opened: Opener) -> None:
    stores = [await opened() for _ in range(4)]
    outcomes = await asyncio.gather(
        *(store.swap("a", b"%d" % n, expected=0) for n, store in enumerate(stores)),
        return_exceptions=True,
    )
    assert outcomes.count(1) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 3
    assert await stores[0].get("a") == Cell(b"%d" % outcomes.index(1), 1)


async def test_nobody_is_given_a_number_twice(opened: Opener) -> None:
    stores = [await opened() for _ in range(3)]
    firsts = await asyncio.gather(*(store.reserve("ids", 7) for _ in range(20) for store in stores))
    assert sorted(firsts) == list(range(0, 60 * 7, 7))


async def test_increments_of_many_writers_add_up(opened: Opener) -> None:
    async def add_one(store: Store) -> None:
        while True:
            cell = await store.get("sum") or Cell(b"0", 0)
            try:
                await store.swap("sum", b"%d" % (int(cell.value) + 1), expected=cell.version)
                return
            except Conflict:
                continue

    stores = [await opened() for _ in range(3)]
    await asyncio.gather(*(add_one(store) for store in stores for _ in range(5)))
    assert await stores[0].get("sum") == Cell(b"15", 15)


async def test_several_may_create_the_store_at_once(handle: Handles) -> None:
    stores = [handle() for _ in range(5)]
    try:
        await asyncio.gather(*(store.open() for store in stores))
        assert [await store.revision() for store in stores] == [0] * 5
    finally:
        for store in stores:
            await store.close()


async def test_everything_is_there_when_it_is_opened_again(handle: Handles) -> None:
    store = handle()
    await store.open()
    await store.commit({"a": b"1"}, expected=0)
    await store.swap("c", b"1", expected=0)
    await store.reserve("ids", 5)
    await store.close()
    again = handle()
    await again.open()
    assert await again.read() == (1, {"a": b"1"})
    assert await again.get("c") == Cell(b"1", 1)
    assert await again.reserve("ids", 5) == 5
    await again.close()


async def test_a_closed_handle_can_be_opened_again(handle: Handles) -> None:
    store = handle()
    await store.open()
    await store.commit({"a": b"1"}, expected=0)
    await store.close()
    await store.open()
    assert await store.revision() == 1
    await store.close()


async def test_opening_twice_is_opening_once(store: Store) -> None:
    await store.open()
    assert await store.revision() == 0


async def test_it_may_be_closed_at_any_time_and_twice(handle: Handles) -> None:
    store = handle()
    await store.close()
    await store.open()
    await store.close()
    await store.close()


@pytest.mark.parametrize("opened_before", [False, True])
async def test_a_store_that_is_not_open_says_so(handle: Handles, opened_before: bool) -> None:
    store = handle()
    if opened_before:
        await store.open()
        await store.close()
    calls = [
        store.revision(),
        store.read(),
        store.commit({}, expected=0),
        store.get("a"),
        store.swap("a", b"", expected=0),
        store.discard("a"),
        store.reserve("a", 1),
    ]
    for call in calls:
        with pytest.raises(StateError, match="is not open"):
            await call


async def test_calls_under_way_are_carried_out_before_it_closes(handle: Handles) -> None:
    store = handle()
    await store.open()
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(store.swap(f"{n}", b"", expected=0)) for n in range(20)]
        await asyncio.sleep(0)
        await store.close()
    assert [call.result() for call in calls] == [1] * 20


async def test_a_cancelled_call_leaves_the_handle_usable(store: Store) -> None:
    for round_ in range(10):
        call = asyncio.ensure_future(store.swap(f"cancelled/{round_}", b"", expected=0))
        for _ in range(round_):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert await store.reserve("ids", 1) == round_


async def test_swaps_are_told_of_by_key_with_the_version_there_is_now(opened: Opener) -> None:
    one, other = await opened(), await opened()
    await one.swap("before", b"1", expected=0)
    start = (await other.changes(NOW)).position
    assert await other.changes(start) == (start, {})
    await one.swap("a", b"1", expected=0)
    await one.swap("a", b"2", expected=1)
    await other.swap("b", b"1", expected=0)
    position, versions = await other.changes(start)
    assert versions == {"a": 2, "b": 1}
    assert await one.changes(position) == (position, {})


@pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
async def test_swaps_of_any_key_are_told_of(store: Store, key: str) -> None:
    start = (await store.changes(NOW)).position
    await store.swap(key, b"1", expected=0)
    assert (await store.changes(start)).versions == {key: 1}


async def test_a_swap_that_was_a_conflict_is_not_told_of(store: Store) -> None:
    await store.swap("a", b"1", expected=0)
    start = (await store.changes(NOW)).position
    with pytest.raises(Conflict):
        await store.swap("a", b"2", expected=0)
    assert (await store.changes(start)).versions == {}


async def test_of_a_cell_that_was_discarded_nothing_harmful_is_told(store: Store) -> None:
    start = (await store.changes(NOW)).position
    await store.swap("a", b"1", expected=0)
    await store.discard("a")
    versions = (await store.changes(start)).versions
    assert versions is not None
    assert versions.get("a", 0) == 0


async def test_who_was_away_for_too_long_is_told_so(store: Store) -> None:
    await store.swap("a", b"1", expected=0)
    position, _ = await store.changes(NOW)
    assert (await store.changes(position - CHANGES_KEPT - 1)).versions is None
    assert (await store.changes(position + 1)).versions is None, "of another life of the store"

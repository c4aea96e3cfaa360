"""Query ids: never given twice, whoever else takes from the same store and however long."""

import pytest

from clipper.core.errors import StateError
from clipper.serving.ids import BLOCK, QueryIds
from clipper.state.memory import Memory, MemoryStore


async def opened(memory: Memory) -> MemoryStore:
    store = MemoryStore(memory)
    await store.open()
    return store


async def test_ids_are_consecutive() -> None:
    ids = QueryIds((await opened(Memory())).reserve)
    await ids.renew()
    assert [ids.take() for _ in range(4)] == [0, 1, 2, 3]


async def test_two_daemons_and_a_restart_never_give_the_same_id() -> None:
    memory, given = Memory(), set()
    for _ in range(3):
        ids = QueryIds((await opened(memory)).reserve)
        await ids.renew()
        given |= {ids.take() for _ in range(100)}
    assert len(given) == 300


async def test_renewing_often_wastes_nothing() -> None:
    memory = Memory()
    ids = QueryIds((await opened(memory)).reserve)
    for _ in range(10):
        await ids.renew()
        ids.take()
    assert memory.counters == {"query_id": BLOCK}
    assert ids.take() == 10


async def test_a_block_ahead_takes_over_where_the_first_ends() -> None:
    memory = Memory()
    ids = QueryIds((await opened(memory)).reserve)
    await ids.renew()
    ids.next = BLOCK - 2
    await ids.renew()
    other = QueryIds((await opened(memory)).reserve)
    await other.renew()
    assert [ids.take() for _ in range(4)] == [BLOCK - 2, BLOCK - 1, BLOCK, BLOCK + 1]
    assert other.take() == 2 * BLOCK


async def test_a_store_that_is_away_does_not_stop_the_block_in_hand() -> None:
    store = await opened(Memory())
    ids = QueryIds(store.reserve)
    await ids.renew()
    ids.next = BLOCK - 2
    await store.close()
    with pytest.raises(StateError):
        await ids.renew()
    assert [ids.take(), ids.take()] == [BLOCK - 2, BLOCK - 1]


async def test_when_the_store_comes_back_after_the_block_ended_a_new_one_is_used() -> None:
    memory = Memory()
    store = await opened(memory)
    ids = QueryIds(store.reserve)
    await ids.renew()
    ids.next = BLOCK - 1
    ids.take()
    ids.take()  # there is no block: better an id beyond it than no answer
    other = QueryIds(store.reserve)
    await other.renew()
    await ids.renew()
    ids.take()
    assert ids.take() == 2 * BLOCK

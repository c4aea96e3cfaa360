"""Selection states: read from memory, written through, none lost where several learn at once."""

import asyncio
from collections.abc import Callable

import pytest

from clipper.core.errors import StateError
from clipper.core.tasks import Tasks
from clipper.core.types import ModelId
from clipper.selection.exp3 import Exp3, Exp3State
from clipper.selection.policy import State
from clipper.serving.states import HELD_BYTES, REMEMBERED, SelectionStates
from clipper.state.memory import Memory, MemoryStore
from clipper.state.store import CHANGES_KEPT, Cell
from tests.fakes.lessons import lesson

pytestmark = pytest.mark.looptime

MODEL = ModelId("m", "1")
POLICY = Exp3()


def suffer(state: State) -> State:
    """Learn a loss of one from the only model there is."""
    return POLICY.observe(state, (MODEL,), lesson((MODEL,), {MODEL: 1.0}))


def pulls(state: Exp3State | None) -> int:
    return 0 if state is None else sum(state.pulls.values())


class SlowStore(MemoryStore):
    """Others get their turn within each call, as with a real store."""

    reads = 0

    async def get(self, key: str) -> Cell | None:
        self.reads += 1
        found = await super().get(key)
        await asyncio.sleep(1)
        return found

    async def swap(self, key: str, value: bytes, *, expected: int) -> int:
        await asyncio.sleep(1)
        return await super().swap(key, value, expected=expected)


async def opened(memory: Memory | None = None) -> SlowStore:
    store = SlowStore(memory)
    await store.open()
    return store


async def test_a_context_never_seen_begins_afresh_and_is_then_in_memory() -> None:
    states = SelectionStates(await opened())
    assert states.peek("a", "u") is None
    assert await states.load("a", "u", POLICY) == POLICY.init()
    assert states.peek("a", "u") == POLICY.init()


async def test_what_was_learned_is_seen_at_once_and_after_a_restart() -> None:
    memory = Memory()
    states = SelectionStates(await opened(memory))
    assert await states.update("a", "u", POLICY, suffer)
    learned = states.peek("a", "u")
    assert pulls(learned) == 1
    restarted = SelectionStates(await opened(memory))
    assert await restarted.load("a", "u", POLICY) == learned


async def test_what_is_in_memory_is_not_read_again() -> None:
    store = await opened()
    states = SelectionStates(store)
    await states.load("a", "u", POLICY)
    await states.load("a", "u", POLICY)
    assert store.reads == 1


async def test_contexts_and_applications_have_states_of_their_own() -> None:
    states = SelectionStates(await opened())
    await states.update("a", "u", POLICY, suffer)
    assert pulls(await states.load("a", "v", POLICY)) == 0
    assert pulls(await states.load("b", "u", POLICY)) == 0
    assert pulls(await states.load("a", "", POLICY)) == 0


async def test_of_many_lessons_at_once_none_is_lost() -> None:
    states = SelectionStates(await opened())
    await asyncio.gather(*(states.update("a", "u", POLICY, suffer) for _ in range(20)))
    assert pulls(states.peek("a", "u")) == 20


async def test_many_lessons_at_once_cost_about_one_read_each() -> None:
    store = await opened()
    states = SelectionStates(store)
    await asyncio.gather(*(states.update("a", "u", POLICY, suffer) for _ in range(100)))
    assert store.reads <= 200


async def test_of_what_two_daemons_learn_at_once_nothing_is_lost() -> None:
    memory = Memory()
    one, other = SelectionStates(await opened(memory)), SelectionStates(await opened(memory))
    await asyncio.gather(
        *(states.update("a", "u", POLICY, suffer) for states in (one, other) for _ in range(10))
    )
    fresh = SelectionStates(await opened(memory))
    assert pulls(await fresh.load("a", "u", POLICY)) == 20


async def test_a_slow_read_does_not_bring_back_what_was_before_a_lesson() -> None:
    states, tasks = SelectionStates(await opened()), Tasks()
    learning = tasks.spawn("learn", states.update("a", "u", POLICY, suffer))
    await asyncio.sleep(1.5)  # it reads until 1, and writes until 2
    read = await states.load("a", "u", POLICY)
    assert learning.done()
    assert pulls(read) == pulls(states.peek("a", "u")) == 1


async def test_where_the_store_cannot_be_written_nothing_was_learned() -> None:
    store = await opened()
    states = SelectionStates(store)
    await states.update("a", "u", POLICY, suffer)
    await store.close()
    with pytest.raises(StateError):
        await states.update("a", "u", POLICY, suffer)
    assert pulls(states.peek("a", "u")) == 1


async def test_a_lesson_that_cannot_be_learned_leaves_everything_as_it_was() -> None:
    def refuse(state: State) -> State:
        raise ValueError("no")

    states = SelectionStates(await opened())
    await states.update("a", "u", POLICY, suffer)
    before = states.peek("a", "u")
    with pytest.raises(ValueError, match="no"):
        await states.update("a", "u", POLICY, refuse)
    assert states.peek("a", "u") == before
    assert await states.update("a", "u", POLICY, suffer)
    assert pulls(states.peek("a", "u")) == 2


async def test_memory_is_bounded_and_what_is_used_stays_in_it() -> None:
    store = await opened()
    states = SelectionStates(store, capacity_bytes=3 * HELD_BYTES)
    for context in ("hot", "1", "2", "3", "4", "5"):
        await states.load("a", context, POLICY)
        states.peek("a", "hot")
    contexts = ("hot", "1", "2", "3", "4", "5")
    in_memory = [context for context in contexts if states.peek("a", context) is not None]
    assert in_memory == ["hot", "4", "5"]


async def test_forgetting_an_application_spares_those_whose_names_begin_like_it() -> None:
    memory = Memory()
    states = SelectionStates(await opened(memory))
    for app in ("a", "ab", "b"):
        await states.update(app, "u", POLICY, suffer)
    await states.forget("a")
    assert states.peek("a", "u") is None
    assert pulls(await states.load("a", "u", POLICY)) == 0
    assert pulls(states.peek("ab", "u")) == pulls(states.peek("b", "u")) == 1
    restarted = SelectionStates(await opened(memory))
    assert pulls(await restarted.load("a", "u", POLICY)) == 0
    assert pulls(await restarted.load("ab", "u", POLICY)) == 1


async def test_a_state_that_cannot_be_read_is_the_stores_fault() -> None:
    memory = Memory()
    store = await opened(memory)
    await store.swap("selection/a/u", b'{"state": {"pulls": 7}}', expected=0)
    states = SelectionStates(store)
    calls: list[Callable[[], object]] = [
        lambda: states.load("a", "u", POLICY),
        lambda: states.update("a", "u", POLICY, suffer),
    ]
    for call in calls:
        with pytest.raises(StateError, match="cannot be read by exp3"):
            await call()  # type: ignore[misc]
    assert states.peek("a", "u") is None


async def test_a_query_teaches_a_context_once_whoever_is_told() -> None:
    memory = Memory()
    one, other = SelectionStates(await opened(memory)), SelectionStates(await opened(memory))
    assert await one.update("a", "u", POLICY, suffer, 7)
    assert not await one.update("a", "u", POLICY, suffer, 7)
    assert not await other.update("a", "u", POLICY, suffer, 7)
    assert await other.update("a", "u", POLICY, suffer, 8)
    assert await other.update("a", "v", POLICY, suffer, 7), "another context"
    restarted = SelectionStates(await opened(memory))
    assert not await restarted.update("a", "u", POLICY, suffer, 8)
    assert pulls(await restarted.load("a", "u", POLICY)) == 2


async def test_only_the_last_queries_are_remembered() -> None:
    states = SelectionStates(await opened())
    for number in range(REMEMBERED + 1):
        await states.update("a", "u", POLICY, suffer, number)
    assert not await states.update("a", "u", POLICY, suffer, 1)
    assert await states.update("a", "u", POLICY, suffer, 0)


async def test_what_another_daemon_taught_is_seen_after_a_refresh() -> None:
    memory = Memory()
    one, other = SelectionStates(await opened(memory)), SelectionStates(await opened(memory))
    for states in (one, other):
        await states.refresh()
        await states.load("a", "u", POLICY)
    await one.update("a", "u", POLICY, suffer)
    assert pulls(await other.load("a", "u", POLICY)) == 0
    await other.refresh()
    assert other.peek("a", "u") is None
    assert pulls(await other.load("a", "u", POLICY)) == 1


async def test_what_a_daemon_taught_itself_stays_in_memory() -> None:
    states = SelectionStates(await opened())
    await states.refresh()
    await states.update("a", "u", POLICY, suffer)
    await states.refresh()
    assert pulls(states.peek("a", "u")) == 1


async def test_who_has_missed_too_much_forgets_all() -> None:
    memory = Memory()
    states = SelectionStates(await opened(memory))
    await states.refresh()
    await states.load("a", "u", POLICY)
    memory.swaps += CHANGES_KEPT + 1
    await states.refresh()
    assert states.peek("a", "u") is None


async def test_memory_is_bounded_however_many_contexts_there_are() -> None:
    store = MemoryStore()
    await store.open()
    states = SelectionStates(store, capacity_bytes=100_000)
    for number in range(5000):
        await states.load("a", f"user-{number}", POLICY)
        assert states.bytes <= 100_000
    assert 0 < len(states) < 200
    assert states.peek("a", "user-4999") is not None
    assert states.peek("a", "user-0") is None

"""Handles of stores in memory."""

from clipper.state.memory import Memory, MemoryStore


async def test_handles_on_one_memory_share_it() -> None:
    memory = Memory()
    one, other = MemoryStore(memory), MemoryStore(memory)
    await one.open()
    await other.open()
    await one.commit({"a": b"1"}, expected=0)
    assert await other.read() == (1, {"a": b"1"})


async def test_a_handle_without_a_memory_has_its_own() -> None:
    one, other = MemoryStore(), MemoryStore()
    await one.open()
    await other.open()
    await one.commit({"a": b"1"}, expected=0)
    assert await other.revision() == 0

"""Waiting for a file descriptor on the event loop, without a thread."""

import asyncio


async def readable(descriptor: int) -> None:
    """Return when there is something to read: data, the end of a pipe, or a process's end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)

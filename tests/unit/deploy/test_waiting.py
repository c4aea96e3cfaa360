"""Waiting for descriptors."""

import asyncio
import os

import pytest

from clipper.deploy.waiting import readable


async def test_it_returns_when_there_is_something_to_read() -> None:
    reader, writer = os.pipe()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await readable(reader)
    os.write(writer, b"x")
    await readable(reader)
    await readable(reader)  # it is still there
    os.close(writer)
    os.close(reader)


async def test_it_returns_at_the_end_of_a_pipe() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    await readable(reader)
    os.close(reader)

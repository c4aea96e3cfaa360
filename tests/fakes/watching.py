"""Looking at processes and logs from outside, as an operator would."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any


def started(daemon: "subprocess.Popen[str]", count: int) -> list[tuple[str, str]]:
    """The address, and the pid or the id, of each container that tests.fakes.daemon has started."""
    assert daemon.stdout
    lines = [daemon.stdout.readline().split() for _ in range(count)]
    return [(words[0], words[-1]) for words in lines]


def until(claim: Callable[[], Any], within_s: float, what: str = "") -> float:
    """Wait until it comes true, looking again and again; returns how long that took."""
    began = time.monotonic()
    while not claim():
        waited_s = time.monotonic() - began
        assert waited_s < within_s, f"{what or claim} did not come true in {within_s:g} s"
        time.sleep(0.02)
    return time.monotonic() - began


async def eventually(claim: Callable[[], bool], within_s: float) -> bool:
    """Whether it comes true in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while True:
                if claim():
                    return True
                await asyncio.sleep(0.05)
    return claim()


def is_alive(pid: int) -> bool:
    """Whether a process runs, or is stopped; a zombie does neither."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


async def printed(
    logs: Callable[[], Awaitable[Sequence[str]]], text: str, count: int = 1
) -> list[str]:
    """Wait until so many lines of a log have the text; returns them."""
    async with asyncio.timeout(30):
        while True:
            lines = [line for line in await logs() if text in line]
            if len(lines) >= count:
                return lines
            await asyncio.sleep(0.05)

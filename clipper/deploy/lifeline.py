"""A pipe from this daemon to a reaper: when we die, it breaks, and the reaper ends our containers.

Nothing that kills a daemon can be asked to tidy up first, so somebody else must notice. The kernel
closes the pipe whatever the cause; the reaper is in a session of its own, so that a kill aimed at
the daemon's process group misses it.
"""

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from clipper.deploy import reaper
from clipper.deploy.waiting import readable

RESTART_DELAY_S = 1.0
CLOSE_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


class Lifeline:
    """Holds process groups that must not outlive us; a reaper that ends early is replaced."""

    def __init__(self, mark: str, folder: Path | None = None, last: Sequence[str] = ()) -> None:
        """When all that bears the mark is gone, remove the folder and run the program `last`."""
        script = [sys.executable, "-I", "-S", reaper.__file__]
        self._command = [*script, mark, str(folder or ""), *last]
        self._groups: set[int] = set()
        self._reaper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the reaper. Raises OSError where no process can be started."""
        self._reaper = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,
        )
        assert self._reaper.stdin is not None
        os.set_blocking(self._reaper.stdin.fileno(), False)
        self._tell("+", *self._groups)

    async def run(self) -> None:
        """Watch over the reaper: without it, a kill would leave containers behind."""
        while True:
            if self._reaper is None:
                self.start()
            assert self._reaper is not None
            await _ended(self._reaper)
            log.warning(
                "the reaper (pid %d) ended; another is started",
                self._reaper.pid,
                extra={"action": "reaper_restarted"},
            )
            self._let_go()
            await asyncio.sleep(RESTART_DELAY_S)

    def hold(self, group: int) -> None:
        """Entrust a process group to the reaper."""
        self._groups.add(group)
        self._tell("+", group)

    def release(self, group: int) -> None:
        """Take a group back that has ended, before its number can belong to another."""
        self._groups.discard(group)
        self._tell("-", group)

    def _tell(self, sign: str, *groups: int) -> None:
        if self._reaper is None or self._reaper.stdin is None:
            return
        text = "".join(f"{sign}{group}\n" for group in groups)
        try:
            self._reaper.stdin.write(text.encode())
        except OSError:  # it is dead, or stopped and its pipe full: `run` starts another
            self._reaper.kill()

    async def close(self) -> None:
        """Let the reaper do its last work, and wait for it; `run` must have been cancelled."""
        if self._reaper is None or self._reaper.stdin is None:
            return
        self._reaper.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await _ended(self._reaper)
        self._let_go()

    def dismiss(self) -> None:
        """End the reaper, whose work has been done; `run` must have been cancelled."""
        self._let_go()

    def _let_go(self) -> None:
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.kill()
            self._reaper.stdin.close()
            self._reaper.wait()
        self._reaper = None


async def _ended(process: "subprocess.Popen[bytes]") -> None:
    """Return when the process has ended; it is not reaped yet."""
    pinned = os.pidfd_open(process.pid)
    try:
        await readable(pinned)
    finally:
        os.close(pinned)

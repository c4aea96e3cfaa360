"""A child process from birth to burial.

It is followed by a file descriptor of it, which becomes readable at its end; the process is a
zombie then, whose number nobody else can have. So its group is killed first and it is reaped after:
the other way round, the signal could hit a stranger.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from clipper.deploy.process import fence
from clipper.deploy.reaper import kill_group
from clipper.deploy.waiting import readable


class Child:
    """A process that leads a session of its own, and the pipe of all that the session prints."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], memory_bytes: int = 0
    ) -> None:
        """Start it behind the fence; `memory_bytes` of 0 is no limit of memory.

        Raises OSError where that fails, and then nothing is left of it.
        """
        self._oom_kills = oom_kills()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", fence.__file__, str(memory_bytes), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.output: IO[bytes] = self._process.stdout
        self.pid = self._process.pid
        self._killed = self._buried = False
        try:
            self._pinned = os.pidfd_open(self.pid)
        except OSError:
            self.kill()
            self._process.wait()
            self.output.close()
            raise

    async def ended(self) -> None:
        """Return when it has ended; it stays a zombie until it is buried."""
        await readable(self._pinned)

    def ask_to_end(self) -> None:
        """SIGTERM to the leader alone: what it forked may be at work for it."""
        if not self._buried:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pinned, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        if not self._buried:
            self._killed = True
            kill_group(self.pid)

    def bury(self) -> tuple[int, str]:
        """Kill what is left of its group and reap it; returns how it ended.

        The code, negative for a signal, and a sentence.
        """
        kill_group(self.pid)
        self._buried = True
        os.close(self._pinned)
        code = self._process.wait()
        is_suspect = code == -signal.SIGKILL and not self._killed
        return code, how_it_ended(code, is_suspect and oom_kills() > self._oom_kills)


def oom_kills() -> int:
    """How often the kernel has killed a process of this machine because memory ran out."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def how_it_ended(code: int, out_of_memory: bool = False) -> str:
    """One sentence for an exit code."""
    if out_of_memory:
        return "ran out of memory"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"

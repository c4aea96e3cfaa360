"""A worker's process, from its start to its end.

It hears no SIGINT and no SIGTERM, which a terminal or a service manager sends to the whole group:
when to end is for the main process to say. It dies with the main process, whatever ends that.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

from clipper.deploy.process.child import how_it_ended
from clipper.deploy.waiting import readable
from clipper.workers.channel import Channel
from clipper.workers.messages import ToMain

DEAF_TO = frozenset((signal.SIGINT, signal.SIGTERM))
PR_SET_PDEATHSIG = 1


class WorkerProcess:
    """A process of our group, and our end of the socket that only the two of us have."""

    def __init__(self, number: int, inherited: Sequence[int]) -> None:
        """Start it, with these descriptors; raises OSError where that fails."""
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = _launch(number, theirs, inherited)
            self.pid = self._process.pid
            self._pinned = self._pin()
        except OSError:
            self._socket.close()
            raise

    def _pin(self) -> int:
        try:
            return os.pidfd_open(self.pid)
        except OSError:
            self._process.kill()
            self._process.wait()
            raise

    async def channel(self) -> Channel[ToMain]:
        """Our end of the channel to it."""
        return await Channel[ToMain].over(self._socket, ToMain)

    async def ended(self) -> str:
        """Return when it has ended; how, in a few words."""
        await readable(self._pinned)
        return how_it_ended(self._process.wait())

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pinned, signal.SIGKILL)

    def bury(self) -> None:
        """It has ended: let go of what is left of it."""
        os.close(self._pinned)


def _launch(
    number: int, channel: socket.socket, inherited: Sequence[int]
) -> "subprocess.Popen[bytes]":
    # -P: the working directory is no place to import from.
    command = [sys.executable, "-P", "-m", "clipper.workers.worker", str(number)]
    # A mask is inherited, so that it is deaf from its first instruction on.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, DEAF_TO)
    try:
        return subprocess.Popen(command, stdin=channel.fileno(), pass_fds=inherited)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def own_channel() -> socket.socket:
    """In a worker: our end of the socket, which came as standard input."""
    return socket.socket(fileno=os.dup(sys.stdin.fileno()))


def die_with_the_main_process() -> None:
    """In a worker: have the kernel end this process with the one that started it.

    A worker that runs would see its socket end; one that is stopped would not.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

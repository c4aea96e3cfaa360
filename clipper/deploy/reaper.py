"""Ends what a daemon started, once the daemon is dead: a program of its own, in its own session.

It reads `+PGID` and `-PGID` lines from standard input, whose other end only the daemon holds. At
its end, however sudden, it kills the process groups that are left, then whatever else carries the
daemon's mark in its environment (a process that left its group, or one whose line was never
written), removes a folder, and becomes the program that is to run last. Either may be missing.

    python reaper.py MARK FOLDER [PROGRAM ARGUMENT...]

It needs nothing but the standard library and may be run by path in isolated mode.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

MARK_VARIABLE = "MODEL_CONTAINER_ID"
SWEEPS = 20
SWEEP_PAUSE_S = 0.05


def kill_group(group: int) -> None:
    """SIGKILL every process of a group, stopped ones too."""
    if group > 1:  # 0 and 1 would be everybody
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def kill_marked(mark: str) -> None:
    """SIGKILL every process whose mark begins so, until there is none, also if they fork."""
    for _ in range(SWEEPS):
        found = [pid for pid in _processes() if _kill_if_marked(pid, mark)]
        if not found:
            return
        time.sleep(SWEEP_PAUSE_S)


def _processes() -> Iterable[int]:
    own = os.getpid()
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != own]


def _kill_if_marked(pid: int, mark: str) -> bool:
    """Whether it carried the mark; pinned first, so that the number cannot change hands."""
    entry = f"{MARK_VARIABLE}={mark}".encode()
    try:
        pinned = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if not any(variable.startswith(entry) for variable in environment):
            return False
        signal.pidfd_send_signal(pinned, signal.SIGKILL)
        return True
    except OSError:  # it has ended, or is somebody else's
        return False
    finally:
        os.close(pinned)


def follow(lines: Iterable[bytes]) -> set[int]:
    """Read until the end; returns the groups that were entrusted and not taken back."""
    groups: set[int] = set()
    for line in lines:
        sign, number = line[:1], line[1:].strip()
        if number.isdigit():
            (groups.add if sign == b"+" else groups.discard)(int(number))
    return groups


def main(mark: str, folder: str = "", *last: str) -> None:
    """Wait for the daemon's end, then clean up after it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends after the daemon, never before
    for group in follow(sys.stdin.buffer):
        kill_group(group)
    kill_marked(mark)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    if last:
        os.execv(last[0], last)


if __name__ == "__main__":
    main(*sys.argv[1:])

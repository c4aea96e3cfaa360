"""The step between a child's birth and the program it is to run: what it must not be able to do.

    python -I -S fence.py MEMORY_BYTES PROGRAM ARGUMENT...

A program of its own, which limits itself and then becomes PROGRAM, so that there is no moment at
which code of a model runs without the limits, and no code of ours runs between fork and exec in a
process full of threads. It takes about 12 ms, with nothing but the standard library.

What is fenced is carelessness rather than malice: a replica has the user of the daemon, and may do
to the user's files and other processes what the user may.

- No new privileges: nothing that it starts gets any by setuid or file capabilities, so no sudo.
  (Nor does nvidia-modprobe: where no GPU is used before, the driver is to be loaded at boot.)
- A daemon of root's gives it fewer capabilities than it has itself. So limits hold, and the
  daemon's memory and environment, where the tokens are, cannot be read.
- Memory by RLIMIT_DATA, which counts what may be written to: of a model in PyTorch 243 MiB, where
  298 are resident and RLIMIT_AS would count 667, with all that is only reserved; CUDA reserves far
  more. It is the limit of each process; shared memory and mapped files do not count.
- A bounded number of open files, and no core dumps.
- When memory runs out on the machine, it goes rather than the daemon.

RLIMIT_NPROC is left alone: it counts all that the user runs, and root is exempt from it. And it
stays dumpable: others of the user may look into it, but among them is the daemon, which finds by
its environment what has left its process group.
"""

import contextlib
import ctypes
import os
import resource
import sys
from pathlib import Path

OPEN_FILES = 4096
OOM_SCORE = "500"

# Of linux/prctl.h and linux/capability.h.
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAP_SETPCAP = 8
CAP_SYS_PTRACE = 19
CAP_SYS_ADMIN = 21
CAP_SYS_RESOURCE = 24
CAP_PERFMON = 38

# The last is what it takes to drop any, so that a daemon of root's keeps one that no replica has:
# without that, and without the others, the kernel lets nobody look into it.
DROPPED = (CAP_SYS_RESOURCE, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON, CAP_SETPCAP)


def limit(kind: int, most: int) -> None:
    """Bound a resource for good; a bound that is lower already stays."""
    now = resource.getrlimit(kind)
    soft, hard = (most if one == resource.RLIM_INFINITY else min(one, most) for one in now)
    resource.setrlimit(kind, (soft, hard))


def renounce() -> None:
    """Give up what would undo the limits, and what more could be had by executing a program."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in DROPPED:  # refused to who is not root, and has none
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def main(memory_bytes: str, program: str, *arguments: str) -> None:
    """Put up the fence, then become the program."""
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    if int(memory_bytes):
        limit(resource.RLIMIT_DATA, int(memory_bytes))
    with contextlib.suppress(OSError):  # where /proc is read-only
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")
    renounce()
    try:
        os.execv(program, [program, *arguments])
    except OSError as error:
        sys.exit(f"{program} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])

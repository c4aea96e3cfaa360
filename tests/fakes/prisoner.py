"""A model that tries to break out of its container; containers run it, the tests never import it.

It takes JSON. An object with the key `do` is an order; everything else it gives back. What it tried
it answers with: "done", or the name of the error that stood in the way.
"""

import contextlib
import ctypes
import errno
import fcntl
import glob
import http.client
import os
import resource
import socket
import struct
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from clipper_container import ModelContainer

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PTRACE_ATTACH = 16
SYS_BPF, SYS_KEYCTL, SYS_PERF_EVENT_OPEN = 321, 250, 298
SIOCSIFADDR = 0x8916
CONNECT_S = 0.5

libc = ctypes.CDLL(None, use_errno=True)


def attempt(call: Callable[[], object]) -> str:
    """What comes of it."""
    try:
        call()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "done"


def system(name: str, *arguments: object) -> None:
    """A call to the C library that fails as Python's own do."""
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


class Prisoner(ModelContainer):
    """Does what it is told."""

    def predict_batch(self, inputs: Any) -> Any:
        return [self._obey(one) if isinstance(one, dict) else one for one in inputs]

    def _obey(self, order: dict[str, Any]) -> Any:
        return getattr(self, order["do"])(order)

    def tell(self, order: dict[str, Any]) -> Any:
        """Who it is."""
        lines = Path("/proc/self/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines)
        wanted = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
        return {key: status[key].strip() for key in wanted} | {
            "ids": sorted({*os.getresuid(), *os.getresgid(), *os.getgroups()}),
            "hostname": socket.gethostname(),
            "core": resource.getrlimit(resource.RLIMIT_CORE),
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        }

    def write(self, order: dict[str, Any]) -> Any:
        """Open files for writing."""
        return {path: attempt(partial(open, path, "w")) for path in order["paths"]}

    def fill(self, order: dict[str, Any]) -> Any:
        """Write until there is no room; then how much it was, and why it ended."""
        file = Path(order["folder"], "filling")
        written = 0
        chunk = bytes(1 << 20)
        with file.open("wb", buffering=0) as full:
            try:
                while written < 1 << 30:
                    written += full.write(chunk)
                reason = "done"
            except OSError as error:
                reason = errno.errorcode[error.errno or 0]
        file.unlink()
        return [written, reason]

    def escape(self, order: dict[str, Any]) -> Any:
        """Ask the kernel for what only the mighty get."""
        request = struct.pack("16sH2s4s8s", b"eth0", socket.AF_INET, b"", bytes((10, 0, 0, 1)), b"")
        with socket.socket() as any_socket:
            handle = any_socket.fileno()
            return {
                "setuid": attempt(lambda: os.setuid(0)),
                "mount": attempt(lambda: system("mount", b"none", b"/tmp", b"tmpfs", 0, None)),
                "chroot": attempt(lambda: os.chroot("/tmp")),
                "mknod": attempt(lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0))),
                "user namespace": attempt(lambda: system("unshare", CLONE_NEWUSER)),
                "network namespace": attempt(lambda: system("unshare", CLONE_NEWNET)),
                "bpf": attempt(lambda: system("syscall", SYS_BPF, 0, None, 0)),
                "keyctl": attempt(lambda: system("syscall", SYS_KEYCTL, 0, -5, 0)),
                "perf": attempt(lambda: system("syscall", SYS_PERF_EVENT_OPEN, None, 0, -1, -1, 0)),
                "nice": attempt(lambda: os.setpriority(os.PRIO_PROCESS, 0, -20)),
                "raw socket": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
                "packet socket": attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
                "address": attempt(lambda: fcntl.ioctl(handle, SIOCSIFADDR, request)),
            }

    def trace(self, order: dict[str, Any]) -> Any:
        """Trace a process of the machine, and send it a signal."""
        pid = order["pid"]
        return [
            attempt(lambda: system("ptrace", PTRACE_ATTACH, pid, None, None)),
            attempt(lambda: os.kill(pid, 0)),
        ]

    def spy(self, order: dict[str, Any]) -> Any:
        """All tokens in sight, all that runs, and whether the engine's socket is there."""
        tokens, programs = set(), set()
        for folder in glob.glob("/proc/[0-9]*"):
            with contextlib.suppress(OSError):
                programs.add(Path(folder, "comm").read_text().strip())
                for variable in Path(folder, "environ").read_bytes().split(b"\0"):
                    if b"TOKEN=" in variable:
                        tokens.add(variable.decode().partition("=")[2])
        sockets = [path for path in ("/var/run/docker.sock", "/run") if os.path.exists(path)]
        return {"tokens": sorted(tokens), "programs": sorted(programs), "sockets": sockets}

    def network(self, order: dict[str, Any]) -> Any:
        """Its own address, and what comes of connecting to others."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.connect((order["gateway"], 9))
            address = own.getsockname()[0]
        connected = {
            f"{host}:{port}": attempt(partial(socket.create_connection, (host, port), CONNECT_S))
            for host, port in order["targets"]
        }
        with socket.socket() as poser:
            posing = attempt(lambda: poser.bind((order["other"], 7000)))
        named = attempt(lambda: socket.getaddrinfo("example.com", 80))
        return {"address": address, "connected": connected, "posing": posing, "named": named}

    def call(self, order: dict[str, Any]) -> Any:
        """An HTTP request with a token; the answer's status and text."""
        connection = http.client.HTTPConnection(order["host"], order["port"], timeout=5)
        headers = {"Authorization": f"Bearer {order['token']}"}
        connection.request(order["method"], order["path"], headers=headers)
        response = connection.getresponse()
        return [response.status, response.read().decode()]

    def fork_bomb(self, order: dict[str, Any]) -> Any:
        """Every process of it makes others, for ever."""
        while True:
            with contextlib.suppress(OSError):
                os.fork()

    def eat_memory(self, order: dict[str, Any]) -> Any:
        """Says so, and takes all there is."""
        os.write(2, b"these are its last words\n")
        return len([bytearray(os.urandom(1 << 20)) for _ in range(1 << 20)])

    def babble(self, order: dict[str, Any]) -> Any:
        """Writes much to stdout, and goes on answering."""
        text = (b"x" * 4095 + b"\n") * 256

        def write() -> None:
            for _ in range(order["bytes"] // len(text)):
                os.write(1, text)

        self.babbling = threading.Thread(target=write, daemon=True)
        self.babbling.start()
        return "begun"

    def has_babbled(self, order: dict[str, Any]) -> Any:
        return not self.babbling.is_alive()


class EatsAtOnce(Prisoner):
    """Takes all memory before it has loaded."""

    def __init__(self, model_data: str) -> None:
        self.eat_memory({})

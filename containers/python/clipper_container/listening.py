"""Where a container listens: `unix:/path` or `host:port`, checked before gRPC sees it."""

import os
import socket
import stat
from pathlib import Path

SOCKET_PATH_BYTES = 107
"""What Linux has room for in the address of a unix socket."""


class ListenError(Exception):
    """The address cannot be listened on."""


def prepare(listen: str) -> None:
    """Make the address free to listen on: remove the socket file of a process that has gone.

    Raises:
        ListenError: the address has no form that we know, or belongs to someone else.
    """
    if listen.startswith("unix:"):
        _prepare_socket(Path(listen.removeprefix("unix:")))
    elif not listen.rpartition(":")[0] or not listen.rpartition(":")[2].isdecimal():
        raise ListenError(f"--listen {listen}: give unix:/path/to.sock or host:port.")


def _prepare_socket(path: Path) -> None:
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        raise ListenError(
            f"--listen unix:{path}: the path has {len(os.fsencode(path))} bytes; "
            f"a socket's may have {SOCKET_PATH_BYTES}. Use a shorter folder."
        )
    if not path.parent.is_dir():
        raise ListenError(f"--listen unix:{path}: there is no folder {path.parent}.")
    if not os.path.lexists(path):
        return
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise ListenError(f"--listen unix:{path}: the file there is no socket; remove it.")
    if _is_alive(path):
        raise ListenError(f"--listen unix:{path}: another process listens there.")
    path.unlink()


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(os.fspath(path)) == 0


def bound_address(listen: str, port: int) -> str:
    """The address as a client names it; differs from what was asked for where the port was 0."""
    return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"

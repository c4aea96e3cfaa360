"""Addresses before they are listened on."""

import socket
from pathlib import Path

import pytest
from clipper_container.listening import ListenError, bound_address, prepare


def bind(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    return listener


def test_a_free_path_and_a_port_need_nothing(tmp_path: Path) -> None:
    prepare(f"unix:{tmp_path / 's'}")
    for address in ("127.0.0.1:0", "0.0.0.0:80", "[::1]:80", "localhost:80"):
        prepare(address)


def test_the_socket_of_a_process_that_has_gone_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    bind(path).close()
    assert path.exists()
    prepare(f"unix:{path}")
    assert not path.exists()


def test_the_socket_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bind(path) as listener:
        listener.listen()
        with pytest.raises(ListenError, match="another process listens there"):
            prepare(f"unix:{path}")
    assert path.exists()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(ListenError, match="no socket"):
        prepare(f"unix:{path}")
    assert path.read_text() == "data"


@pytest.mark.parametrize(
    ("listen", "complaint"),
    [
        ("", "give unix:/path/to.sock or host:port"),
        ("80", "give unix:/path/to.sock or host:port"),
        (":80", "give unix:/path/to.sock or host:port"),
        ("localhost:http", "give unix:/path/to.sock or host:port"),
        ("unix:/no/such/folder/s", "there is no folder /no/such/folder"),
        (f"unix:/tmp/{'x' * 103}", "has 108 bytes; a socket's may have 107"),
    ],
)
def test_an_address_that_cannot_be_is_refused_by_name(listen: str, complaint: str) -> None:
    with pytest.raises(ListenError, match=complaint):
        prepare(listen)


def test_the_systems_choice_of_a_port_is_part_of_the_address() -> None:
    assert bound_address("127.0.0.1:0", 4711) == "127.0.0.1:4711"
    assert bound_address("unix:/run/s", 1) == "unix:/run/s"

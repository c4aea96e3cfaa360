"""Responses, read from bytes as they come."""

import pytest
from http_answer import Answer, post, read_answer

WHOLE = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;note=1\r\nlo\r\n0\r\n\r\n"
)


@pytest.mark.parametrize("response", [WHOLE, CHUNKED])
def test_a_response_is_read_when_its_last_byte_is_there_and_not_before(response: bytes) -> None:
    assert read_answer(response) == Answer(200, b"hello", closes=False)
    assert [read_answer(response[:size]) for size in range(len(response))] == [None] * len(response)


def test_a_body_of_unknown_length_ends_with_its_connection() -> None:
    response = b"HTTP/1.1 200 OK\r\n\r\nhello"
    assert read_answer(response) is None
    assert read_answer(response, is_all=True) == Answer(200, b"hello", closes=True)


def test_a_connection_that_ends_too_early_gives_no_answer() -> None:
    assert read_answer(WHOLE[:-1], is_all=True) is None
    assert read_answer(CHUNKED[:-9], is_all=True) is None


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 503 No\r\nConnection: close\r\n", b"HTTP/1.0 503 No\r\nServer: x\r\n"]
)
def test_a_server_may_say_that_it_closes_the_connection(head: bytes) -> None:
    answer = read_answer(head + b"Content-Length: 0\r\n\r\n")
    assert answer == Answer(503, b"", closes=True)


def test_what_is_not_http_is_refused() -> None:
    with pytest.raises(ValueError, match="does not begin an HTTP response"):
        read_answer(b"SSH-2.0-x\r\n\r\n")


def test_a_request_says_how_long_its_body_is() -> None:
    head, _, body = post("/sum/predict", b'{"input": [1]}').partition(b"\r\n\r\n")
    assert head.startswith(b"POST /sum/predict HTTP/1.1\r\nHost: ")
    assert b"Content-Length: 14" in head.split(b"\r\n")
    assert body == b'{"input": [1]}'

"""A listener as a client sees it: addresses, tokens, and every way of saying no."""

from collections.abc import Callable

import httpx
import pytest

from clipper.admin.errors import ClipperRefused, ClipperTimeout, ClipperUnreachable, InvalidCall
from clipper.admin.listener import Listener, base_url
from clipper.admin.messages import Request

GET = Request("GET", "/x")


def listener(
    answer: Callable[[httpx.Request], httpx.Response], token: str | None = None
) -> Listener:
    return Listener("http://127.0.0.1:1338", token, transport=httpx.MockTransport(answer))


def test_the_scheme_may_be_left_out() -> None:
    assert base_url("10.0.0.1:1338/") == "http://10.0.0.1:1338"
    assert base_url("https://clipper.example") == "https://clipper.example"


@pytest.mark.parametrize("url", ["", "http://", "ftp://host:1", "http://host:99999", "http://h:0"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidCall, match="not the address"):
        base_url(url)


def test_the_token_is_sent_as_a_bearer() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Authorization", ""))
        return httpx.Response(200, json={})

    listener(answer, "s3cret").call(GET)
    listener(answer).call(GET)
    assert seen == ["Bearer s3cret", ""]


@pytest.mark.parametrize("token", ["two\nlines", "schlüssel"])
def test_a_token_that_no_header_may_carry_is_refused(token: str) -> None:
    with pytest.raises(InvalidCall, match="token"):
        Listener("http://127.0.0.1:1338", token)


def test_a_body_is_json_and_an_empty_one_is_none() -> None:
    assert listener(lambda _: httpx.Response(200, json=[1])).call(GET) == [1]
    assert listener(lambda _: httpx.Response(204)).call(GET) is None


def test_a_refusal_carries_code_message_hint_and_status() -> None:
    body = {"error": {"code": "already_exists", "message": "It exists.", "hint": "Rename it."}}
    with pytest.raises(ClipperRefused, match="It exists") as refusal:
        listener(lambda _: httpx.Response(409, json=body)).call(GET)
    error = refusal.value
    assert (error.code, error.message, error.hint, error.status) == (
        "already_exists",
        "It exists.",
        "Rename it.",
        409,
    )


@pytest.mark.parametrize(
    ("response", "code", "message"),
    [
        (
            httpx.Response(400, json={"error": "Json error", "cause": "no input key"}),
            "json_error",
            "Json error: no input key",
        ),
        (httpx.Response(400, text="Error parsing JSON: x"), "http_400", "HTTP 400: Error parsing"),
        (httpx.Response(422, json={"detail": "bad"}), "http_422", "HTTP 422: "),
        (httpx.Response(500), "http_500", "HTTP 500: Internal Server Error"),
    ],
    ids=["the query listener's", "plain text", "JSON of another shape", "nothing"],
)
def test_every_shape_of_a_refusal_is_understood(
    response: httpx.Response, code: str, message: str
) -> None:
    with pytest.raises(ClipperRefused) as refusal:
        listener(lambda _: response).call(GET)
    assert refusal.value.code == code
    assert refusal.value.message.startswith(message)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 502, 503])
def test_every_refusal_ends_in_a_next_step(status: int) -> None:
    with pytest.raises(ClipperRefused) as refusal:
        listener(lambda _: httpx.Response(status)).call(GET)
    assert refusal.value.hint.endswith(".")


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (httpx.ConnectError("refused"), ClipperUnreachable, "Nothing answers at"),
        (httpx.ConnectTimeout(""), ClipperUnreachable, "Nothing answers at"),
        (httpx.ReadTimeout("late"), ClipperTimeout, "did not answer in time"),
        (httpx.RemoteProtocolError("cut"), ClipperUnreachable, "broke"),
    ],
)
def test_silence_is_unreachable_and_says_what_to_do(
    failure: httpx.TransportError, kind: type[ClipperUnreachable], message: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise failure

    with pytest.raises(ClipperUnreachable, match=message) as error:
        listener(answer).call(GET)
    assert type(error.value) is kind
    assert "http://127.0.0.1:1338" in error.value.message
    assert "clipper" in error.value.hint


def test_another_program_on_the_port_is_noticed() -> None:
    with pytest.raises(ClipperUnreachable, match="no answer of Clipper"):
        listener(lambda _: httpx.Response(200, text="<html>")).call(GET)

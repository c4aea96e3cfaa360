"""What a request's head says: whether its body is frames, and the parameters that go with them."""

import pytest

from clipper.core.errors import InvalidInput
from clipper.frontend.options import MAX_CONTEXT, Options, read_options

FRAMES = b"application/octet-stream"


@pytest.mark.parametrize(
    "content_type",
    [
        FRAMES,
        b"Application/Octet-Stream",
        b" application/octet-stream ",
        b"application/octet-stream; charset=binary",
        b"application/octet-stream;a=b;c",
    ],
)
def test_one_media_type_makes_frames_whatever_its_case_and_parameters(content_type: bytes) -> None:
    assert read_options(b"", content_type) == Options(is_framed=True)


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"application/json",
        b"application/x-www-form-urlencoded",
        b"text/plain",
        b"application/octet",
        b"application/octet-streams",
        b"application/json; application/octet-stream",
        b"multipart/form-data; boundary=application/octet-stream",
        b"\xff",
    ],
)
def test_any_other_media_type_leaves_json(content_type: bytes) -> None:
    query = b"version=2&context=ann&slo_ms=x&explain=1"
    assert read_options(query, content_type) == Options(explain=True)
    assert read_options(b"", content_type) == Options()


def test_frames_have_their_parameters_in_the_url() -> None:
    options = read_options(b"context=ann&slo_ms=5&version=2&explain=1", FRAMES)
    assert options == Options(True, True, "2", "ann", 0.005)


@pytest.mark.parametrize(
    ("query", "context"),
    [
        (b"context=caf%C3%A9%20%26+%2B", "café & +"),
        (b"context=", ""),
        (b"context", ""),
        (b"%63ontext=ann", "ann"),
        (b"context=ann&context=bob", "bob"),
        (b"context=a=b", "a=b"),
        (b"Context=ann", None),
        (b"&&=&context=ann&", "ann"),
        (b"unknown=%zz&uid=7", None),
    ],
)
def test_parameters_are_decoded_and_unknown_ones_ignored(query: bytes, context: str | None) -> None:
    assert read_options(query, FRAMES).context == context


@pytest.mark.parametrize(
    ("slo_ms", "slo_s"), [(b"5", 0.005), (b"0.5", 0.0005), (b"1e3", 1), (b"null", None)]
)
def test_an_slo_is_written_as_in_json(slo_ms: bytes, slo_s: float | None) -> None:
    assert read_options(b"slo_ms=" + slo_ms, FRAMES).slo_s == slo_s


@pytest.mark.parametrize(
    "slo_ms",
    [b"0", b"-1", b"x", b"", b"true", b'"5"', b"[5]", b"NaN", b"Infinity", b"1e999", b"1_0", b"05",
     b"[" * 60_000, b"x" * 60_000],
    ids=range(14),
)  # fmt: skip
def test_an_slo_that_is_no_number_above_zero_is_refused_in_the_words_of_json(slo_ms: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"slo_ms is .*; it must be a number above 0") as refusal:
        read_options(b"slo_ms=" + slo_ms, FRAMES)
    assert len(refusal.value.message) < 200


def test_a_context_is_bounded() -> None:
    assert read_options(b"context=" + b"%C3%A9" * MAX_CONTEXT, FRAMES).context
    with pytest.raises(InvalidInput, match=f"context has {MAX_CONTEXT + 1} characters"):
        read_options(b"context=" + b"u" * (MAX_CONTEXT + 1), FRAMES)


def test_parameters_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_options(b"context=%ff", FRAMES)

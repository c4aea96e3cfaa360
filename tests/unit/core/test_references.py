"""What names an image, and what does not."""

import time

import pytest

from clipper.core.errors import InvalidInput
from clipper.core.references import check_image

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    "reference",
    [
        "mine",
        "mine:1",
        "clipper/sklearn-container:0.1.0",
        "a__b/c.d/e---f_g:V1.0-rc_2",
        "localhost/mine",
        "registry:5000/folder/mine:1",
        "Registry.Example.com/mine",
        "10.0.0.7:5000/mine",
        f"mine@{DIGEST}",
        f"registry:5000/mine:1@{DIGEST}",
        DIGEST,
        "m" * 255,
        "mine:" + "t" * 128,
    ],
)
def test_references_pass_as_they_are(reference: str) -> None:
    assert check_image(reference) == reference


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "Mine",
        "mine:",
        "mine:-1",
        "mine:1:2",
        "mine ",
        " mine",
        "mine\n",
        "mi ne",
        "-v",
        "--privileged",
        "/mine",
        "mine/",
        "a//b",
        "../mine",
        "folder/../mine",
        "mine_",
        "a___b",
        "a..b",
        "http://registry/mine",
        "mine@sha256:1234",
        f"mine@{DIGEST}@{DIGEST}",
        "registry:port/mine",
        "mine\0",
        "m\u00efne",
        "mine:\u0661",
        "m" * 256,
        "mine:" + "t" * 129,
    ],
)
def test_anything_else_is_refused_by_name(reference: str) -> None:
    with pytest.raises(InvalidInput, match="no reference to a container image") as refused:
        check_image(reference)
    assert repr(reference[:40])[:-1] in refused.value.message
    assert "name:tag" in refused.value.hint


def test_what_is_shown_of_a_long_one_is_short() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_image("M" * 10_000)
    assert len(refused.value.message) < 200


def test_no_text_takes_long_to_refuse() -> None:
    began = time.monotonic()
    for text in ("a-" * 20_000 + "!", "a" * 40_000 + "!", "a." * 20_000, "a/" * 20_000):
        with pytest.raises(InvalidInput):
            check_image(text)
    assert time.monotonic() - began < 1

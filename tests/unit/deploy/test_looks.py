"""How saved models begin."""

from pathlib import Path

import pytest

from clipper.deploy.looks import HEAD_BYTES, LOOKS, head, is_transformers


def test_a_head_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * (HEAD_BYTES + 1))
    assert len(head(tmp_path / "file")) == HEAD_BYTES


@pytest.mark.parametrize("suffix", LOOKS)
@pytest.mark.parametrize("start", [b"", b"\0" * 64, b"{}", b"[]", b"text\n", b"\x80\x05."])
def test_what_begins_otherwise_is_nothing(suffix: str, start: bytes) -> None:
    assert LOOKS[suffix](start) == ""


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        ('{"architectures": ["Bert"]}', True),
        ("{}", False),
        ("[" * 100_000, False),
        ("3", False),
        ("null", False),
        ("\xff", False),
    ],
)
def test_a_configuration_of_transformers_names_an_architecture(
    tmp_path: Path, content: str, is_one: bool
) -> None:
    (tmp_path / "config.json").write_text(content, encoding="latin-1")
    assert is_transformers(tmp_path / "config.json") is is_one

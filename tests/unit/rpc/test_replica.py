"""What a container says of itself, which is not trusted."""

from clipper.rpc.model_pb2 import Description
from clipper.rpc.replica import TEXT_CHARS, described


def test_what_cannot_be_shown_is_left_out_of_a_description() -> None:
    said = described(Description(model="net\x1b[2J\n  2\x9b0m\u202e", input_form="größe [µs]"))
    assert said.model == "net[2J 20m"
    assert said.input_form == "größe [µs]"
    assert said.output_form == ""


def test_a_description_is_of_bounded_length() -> None:
    assert len(described(Description(output_form="x" * 10_000)).output_form) == TEXT_CHARS

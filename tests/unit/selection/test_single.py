"""The policy of one model: it answers, always, and there is nothing to learn."""

from clipper.core.outputs import output_of
from clipper.core.types import ModelId
from clipper.selection.single import Single

MODELS = (ModelId("a", "1"), ModelId("b", "1"))


def test_the_first_linked_model_answers_whatever_is_drawn() -> None:
    for draw in (0.0, 0.5, 0.999):
        assert Single().select(None, MODELS, draw).models == (MODELS[0],)


def test_its_output_is_the_answer_and_certain() -> None:
    output = output_of(7)
    assert Single().combine(None, MODELS, {MODELS[0]: output}) == (output, 1.0)


def test_no_state_is_kept_and_no_second_model_linked() -> None:
    assert Single.state_type is None
    assert not Single.links_many
    assert Single().init() is None

"""One batch to one result, whatever the model does."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from clipper_container import model_pb2
from clipper_container.model_pb2 import Batch, BatchResult
from clipper_container.predictor import MESSAGE_CHARS, TRACEBACK_CHARS, NotABatch, Predictor
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.wire import batch_of, values_of

LIMIT = 1000


class Model:
    """Answers by the function it is given."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.predict_batch = answer


def ask(
    answer: Callable[[Any], Any], batch: Batch | None = None, input_type: int = 0
) -> BatchResult:
    """The result of one batch, by default two inputs of two floats."""
    batch = batch or batch_of([[1, 2], [3, 4]], batch_id=7)
    message = Predictor(Model(answer), input_type, LIMIT).answer(batch.SerializeToString())
    return BatchResult.FromString(message)


def raises(error: BaseException) -> Callable[[Any], Any]:
    def answer(inputs: Any) -> Any:
        raise error

    return answer


def test_a_batch_is_answered_with_its_id_its_outputs_and_the_models_time() -> None:
    result = ask(lambda inputs: inputs.sum(axis=1))
    assert result.id == 7
    assert values_of(result.outputs) == [3.0, 7.0]
    assert 0 < result.predict_ns < 1e9


def test_a_model_that_raises_is_told_by_its_error_and_its_own_frames() -> None:
    result = ask(raises(ValueError("three numbers, please")))
    assert result.id == 7
    assert result.error.message == "ValueError: three numbers, please"
    assert "in answer" in result.error.traceback
    assert "clipper_container/predictor.py" not in result.error.traceback
    assert not result.HasField("outputs")


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), GeneratorExit(), MemoryError(), RecursionError()], ids=repr
)
def test_no_error_of_a_model_gets_past_its_batch(error: BaseException) -> None:
    assert ask(raises(error)).error.message.endswith(type(error).__name__)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_a_model_that_ends_the_process_ends_it(error: BaseException) -> None:
    with pytest.raises(type(error)):
        ask(raises(error))


def test_the_next_batch_is_served_after_one_that_failed() -> None:
    predictor = Predictor(Model(lambda inputs: 1 / inputs[:, 0]), 0, LIMIT)
    with np.errstate(divide="ignore"):
        poison = BatchResult.FromString(predictor.answer(batch_of([[0]]).SerializeToString()))
    healthy = BatchResult.FromString(predictor.answer(batch_of([[2]]).SerializeToString()))
    assert "Output 0 of the batch has inf" in poison.error.message
    assert values_of(healthy.outputs) == [0.5]


def test_an_answer_of_the_wrong_length_is_an_error_without_a_traceback() -> None:
    result = ask(lambda inputs: [1])
    assert "1 outputs for 2 inputs" in result.error.message
    assert result.error.traceback == ""


def test_a_batch_that_does_not_add_up_never_reaches_the_model() -> None:
    batch = batch_of([[1, 2]], batch_id=9)
    batch.data += b"!"
    result = ask(raises(AssertionError("called")), batch)
    assert result.id == 9
    assert "9 bytes" in result.error.message


def test_another_input_type_than_the_containers_is_refused_by_name() -> None:
    result = ask(len, batch_of(["a"], model_pb2.STRINGS), model_pb2.FLOATS)
    assert result.error.message == "The batch is of strings; this container takes floats."
    of_the_future = Batch.FromString(b"\x10\x2c\x18\x01")  # input_type 44, size 1
    result = ask(len, of_the_future, model_pb2.FLOATS)
    assert "input type 44" in result.error.message


def test_a_batch_or_an_answer_beyond_the_limit_is_refused_with_the_limit() -> None:
    too_much_in = ask(len, batch_of([[0.0] * LIMIT]))
    too_much_out = ask(lambda inputs: np.zeros((len(inputs), LIMIT)))
    for result in (too_much_in, too_much_out):
        assert str(LIMIT) in result.error.message


def test_what_a_model_says_is_cut_and_made_sendable() -> None:
    result = ask(raises(ValueError("\ud800" + "x" * 1_000_000)))
    assert result.error.message.startswith("ValueError: \\ud800xxx")
    assert len(result.error.message) < 2 * MESSAGE_CHARS
    assert len(result.error.traceback) < 2 * TRACEBACK_CHARS


def test_an_error_that_cannot_even_be_printed_is_answered() -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Unprintable" in ask(raises(Unprintable())).error.message


def test_bytes_that_are_no_batch_have_no_id_to_answer_to() -> None:
    with pytest.raises(NotABatch):
        Predictor(Model(len), 0, LIMIT).answer(b"\xff\xff\xff")


@given(st.binary(max_size=200))
def test_no_message_breaks_the_predictor(message: bytes) -> None:
    predictor = Predictor(Model(lambda inputs: [0] * min(len(inputs), 9)), 0, LIMIT)
    try:
        answer = predictor.answer(message)
    except NotABatch:
        return
    assert BatchResult.FromString(answer).WhichOneof("outcome")

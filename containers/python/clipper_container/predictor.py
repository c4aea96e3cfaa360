"""A batch's bytes to its result's bytes: decode, predict, encode, and no way for it to raise.

Whatever goes wrong with one batch (columns that do not add up, a model that raises, an answer that
does not fit) is that batch's `ModelError`; the next one finds everything as it was.
"""

import logging
import time
import traceback

from google.protobuf.message import DecodeError, EncodeError

from clipper_container import model_pb2
from clipper_container.container import Model
from clipper_container.input_types import name_of
from clipper_container.inputs import InvalidBatch, decode_batch
from clipper_container.model_pb2 import Batch, BatchResult, ModelError
from clipper_container.outputs import InvalidOutputs, encode_outputs

log = logging.getLogger(__name__)

MAX_RESULT_BYTES = 64 * 1024 * 1024
"""Larger results are not read by the daemon, which holds what they hold several times."""
MESSAGE_CHARS = 4_000
TRACEBACK_CHARS = 20_000


class NotABatch(Exception):
    """The bytes are no Batch at all, so that there is no id to answer to."""


class Predictor:
    """Answers batches with one model, one at a time."""

    def __init__(self, model: Model, input_type: int, max_message_bytes: int) -> None:
        self._predict_batch = model.predict_batch
        self._input_type = input_type
        self._max_bytes = max_message_bytes
        self._max_result_bytes = min(max_message_bytes, MAX_RESULT_BYTES)

    def answer(self, message: bytes) -> bytes:
        """The serialised BatchResult of a serialised Batch.

        Raises:
            NotABatch: the message cannot be parsed.
        """
        try:
            batch = Batch.FromString(message)
        except DecodeError as error:
            raise NotABatch("The message is not a clipper.v1.Batch.") from error
        try:
            self._check(batch, len(message))
            return self._packed(self._predict(batch))
        except (InvalidBatch, InvalidOutputs) as error:
            log.warning("A batch of %d failed: %s", batch.size, error)
            return _failed(batch.id, str(error), "")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a model may raise CancelledError, which is no Exception
            log.exception("A batch of %d failed", batch.size)
            return _failed(batch.id, *_described(error))

    def _check(self, batch: Batch, message_bytes: int) -> None:
        if message_bytes > self._max_bytes:
            raise InvalidBatch(
                f"The batch's message has {message_bytes} bytes; the limit of this container is "
                f"{self._max_bytes}. Send smaller batches, or raise --max-message-bytes."
            )
        if self._input_type not in (model_pb2.INPUT_TYPE_UNSPECIFIED, batch.input_type):
            raise InvalidBatch(
                f"The batch is of {name_of(batch.input_type)}; "
                f"this container takes {name_of(self._input_type)}."
            )

    def _predict(self, batch: Batch) -> BatchResult:
        inputs = decode_batch(batch)
        started = time.perf_counter_ns()
        answer = self._predict_batch(inputs)
        predict_ns = time.perf_counter_ns() - started
        outputs = encode_outputs(answer, batch.size)
        return BatchResult(id=batch.id, outputs=outputs, predict_ns=predict_ns)

    def _packed(self, result: BatchResult) -> bytes:
        try:
            message = result.SerializeToString()
        except EncodeError:  # beyond the 2 GiB that any such message may have
            message = None
        if message is None or len(message) > self._max_result_bytes:
            raise InvalidOutputs(
                "The batch's outputs are larger than a result may be, "
                f"{self._max_result_bytes} bytes. Return less, or use a smaller batch size."
            )
        return message


def _failed(batch_id: int, message: str, trace: str) -> bytes:
    error = ModelError(message=sendable(message[:MESSAGE_CHARS]), traceback=sendable(trace))
    return BatchResult(id=batch_id, error=error).SerializeToString()


def _described(error: BaseException) -> tuple[str, str]:
    """What went wrong in one line, and where, from the model's own code on."""
    message = "".join(traceback.format_exception_only(error)).strip()
    frame = error.__traceback__
    while frame and frame.tb_frame.f_code.co_filename == __file__:
        frame = frame.tb_next
    trace = "".join(traceback.format_exception(type(error), error, frame))
    return message, trace[-TRACEBACK_CHARS:]


def sendable(text: str) -> str:
    """Without lone surrogates, which a protobuf string refuses."""
    return text.encode(errors="backslashreplace").decode()

"""Model containers as processes, asked over a unix socket as the daemon asks them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import joblib
import numpy as np
import pytest
from clipper_container import model_pb2
from clipper_container.model_pb2 import BatchResult, OutputType
from sklearn.linear_model import LinearRegression

from tests.fakes.sdk_process import MODELS, Client, Program
from tests.fakes.wire import batch_of, values_of

CONTAINERS = Path(__file__).parents[2] / "containers"

Serve = Callable[..., Awaitable[Client]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start a model of tests/fakes/sdk_models.py; gives a client of it."""
    programs: list[Program] = []
    clients: list[Client] = []

    async def start(model: str, *options: str, **environment: str) -> Client:
        programs.append(await Program.start(tmp_path, f"{MODELS}:{model}", *options, **environment))
        token = environment.get("CLIPPER_CONTAINER_TOKEN", "")
        clients.append(Client(await programs[-1].ready(), token))
        return clients[-1]

    yield start
    for client in clients:
        await client.__aexit__()
    for program in programs:
        program.kill()
        await program.ended()


@pytest.mark.parametrize(
    ("input_type", "inputs", "described"),
    [
        (model_pb2.INTEGERS, [[1, 2]] * 2, "ndarray int32 [2]"),
        (model_pb2.FLOATS, [[1, 2]] * 2, "ndarray float32 [2]"),
        (model_pb2.DOUBLES, [[1, 2]] * 2, "ndarray float64 [2]"),
        (model_pb2.FLOATS, np.zeros((2, 3, 4, 5)), "ndarray float32 [3, 4, 5]"),
        (model_pb2.FLOATS, [[], []], "ndarray float32 [0]"),
        (model_pb2.DOUBLES, [1, 2], "ndarray float64 []"),
        (model_pb2.FLOATS, [[1, 2], [3]], "list float32 [2]"),
        (model_pb2.STRINGS, ["ä", ""], "list str 'ä'"),
        (model_pb2.BYTES, [b"\0\xff", b""], "list bytes b'\\x00\\xff'"),
        (model_pb2.JSON, [{"a": [1, None]}, 2], "list dict {'a': [1, None]}"),
    ],
)
async def test_a_model_is_given_inputs_of_every_type(
    serve: Serve, input_type: Any, inputs: Any, described: str
) -> None:
    client = await serve("Describes")
    result = await client.ask(batch_of(inputs, input_type, batch_id=5))
    assert result.id == 5
    assert values_of(result.outputs)[0] == described
    assert result.outputs.size == 2


@pytest.fixture
async def evaluate(serve: Serve) -> Callable[[str], Awaitable[BatchResult]]:
    """Let a model answer a batch of one with the value of a Python expression."""
    client = await serve("Evaluates")
    return lambda expression: client.ask(batch_of([expression], model_pb2.STRINGS))


ANSWERS = [
    ("np.array([2**40])", "INT64", 2**40),
    ("np.array([0.5], np.float32)", "FLOAT32", 0.5),
    ("np.array([[0.5, 1.5]])", "FLOAT64", [0.5, 1.5]),
    ("np.zeros((1, 2, 2), bool)", "BOOL", [[False, False], [False, False]]),
    ("np.array(['a'])", "TEXT", "a"),
    ("[7]", "INT64", 7),
    ("[0.5]", "FLOAT64", 0.5),
    ("[True]", "BOOL", True),
    ("['[1]']", "TEXT", "[1]"),
    ("[{'score': np.float32(0.5), 'v': np.arange(2)}]", "JSON_TEXT", {"score": 0.5, "v": [0, 1]}),
    ("[None]", "JSON_TEXT", None),
    ("[2**70]", "JSON_TEXT", 2**70),
]

NO_ANSWERS = [
    ("None", "predict_batch returned NoneType"),
    ("[1, 2]", "predict_batch returned 2 outputs for 1 inputs"),
    ("[]", "predict_batch returned 0 outputs for 1 inputs"),
    ("[float('nan')]", "Output 0 of the batch has nan"),
    ("[{'a': float('inf')}]", "Output 0 of the batch cannot be written"),
    ("[np.datetime64('2000-01-01')]", "numpy.datetime64 has no JSON form"),
    ("[object()]", "object has no JSON form"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
    ("np.zeros((1, 2**40))", "ArrayMemoryError: Unable to allocate"),
    ("(", "SyntaxError"),
]


async def test_answers_of_every_kind_arrive_and_what_is_none_is_an_error_of_its_batch_only(
    evaluate: Callable[[str], Awaitable[BatchResult]],
) -> None:
    for expression, output_type, value in ANSWERS:
        result = await evaluate(expression)
        assert OutputType.Name(result.outputs.type) == output_type, expression
        assert values_of(result.outputs) == [value]
    for expression, complaint in NO_ANSWERS:
        assert complaint in (await evaluate(expression)).error.message
    assert values_of((await evaluate("[7]")).outputs) == [7]


async def test_a_poisoned_batch_fails_alone_and_says_where(serve: Serve) -> None:
    client = await serve("Poisoned", "--input-type", "floats")
    poisoned = await client.ask(batch_of([[1], [-1]], batch_id=1))
    healthy = await client.ask(batch_of([[1], [2]], batch_id=2))
    assert poisoned.error.message == "ValueError: negative numbers are poison"
    assert "sdk_models.py" in poisoned.error.traceback
    assert (healthy.id, values_of(healthy.outputs)) == (2, [1.0, 2.0])


async def test_bytes_that_are_no_batch_end_their_stream_only(serve: Serve) -> None:
    client = await serve("Echo")
    stream = client.open()
    await stream.write(b"\xff\xff\xff")
    assert await stream.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert values_of((await client.ask(batch_of([[1, 2]]))).outputs) == [[1, 2]]


async def test_messages_beyond_the_limit_are_refused_with_the_limit(serve: Serve) -> None:
    client = await serve("Evaluates", "--max-message-bytes", "1000")
    assert (await client.describe()).max_message_bytes == 1000
    for expression in ("'in'" + " " * 1000, "['out' * 1000]"):
        result = await client.ask(batch_of([expression], model_pb2.STRINGS))
        assert "1000" in result.error.message
    assert values_of((await client.ask(batch_of(["[7]"], model_pb2.STRINGS))).outputs) == [7]


async def test_a_container_describes_itself(serve: Serve) -> None:
    client = await serve("Echo", "--input-type", "json")
    described = await client.describe()
    assert (described.protocol, described.input_type) == (1, model_pb2.JSON)
    assert described.sdk == "clipper-container 0.1.0"
    assert described.max_message_bytes == 256 * 1024 * 1024


async def test_a_model_does_not_inherit_the_token(serve: Serve) -> None:
    client = await serve("Environment", CLIPPER_CONTAINER_TOKEN="secret")
    result = await client.ask(batch_of(["CLIPPER_CONTAINER_TOKEN"], model_pb2.STRINGS))
    assert values_of(result.outputs) == ["not set"]


async def test_a_saved_estimator_is_served_as_it_was_trained(tmp_path: Path) -> None:
    estimator = LinearRegression().fit([[0.0, 1.0], [1.0, 1.0], [2.0, 3.0]], [1.0, 2.0, 5.0])
    joblib.dump(estimator, tmp_path / "model.joblib")
    target = CONTAINERS / "sklearn" / "sklearn_container.py"
    options = ["--model-data", str(tmp_path), "--input-type", "doubles"]
    program = await Program.start(tmp_path, f"{target}:SklearnContainer", *options)
    async with Client(await program.ready()) as client:
        result = await client.ask(batch_of([[1, 1], [2, 3]], model_pb2.DOUBLES))
        ragged = await client.ask(batch_of([[1, 1], [2]], model_pb2.DOUBLES))
    program.terminate()
    assert (await program.ended())[0] == 0
    assert values_of(result.outputs) == pytest.approx([2.0, 5.0])
    assert "send 2 numbers" in ragged.error.message


async def test_a_model_says_what_it_is_and_what_it_takes(serve: Serve) -> None:
    description = await (await serve("Speaks")).describe()
    assert description.model == "a model \\udce9"
    assert (description.input_form, description.output_form) == ("float32[2]", "float64[2]")
    assert description.input_type == model_pb2.FLOATS
    client = await serve("Speaks")
    wrong = await client.ask(batch_of(["a text"], model_pb2.STRINGS))
    assert "this container takes floats" in wrong.error.message


async def test_a_model_is_not_served_for_an_input_type_that_it_does_not_take(
    tmp_path: Path,
) -> None:
    program = await Program.start(tmp_path, f"{MODELS}:Speaks", "--input-type", "strings")
    code, output = await program.ended()
    assert code == 1
    assert "The model takes floats, but it was deployed for strings" in output
    assert "Traceback" not in output


async def test_the_noop_container_sums(tmp_path: Path) -> None:
    target = CONTAINERS / "noop" / "noop_container.py"
    program = await Program.start(tmp_path, f"{target}:NoopContainer", "--input-type", "floats")
    async with Client(await program.ready()) as client:
        result = await client.ask(batch_of([[1, 2], [3, 4]]))
    assert values_of(result.outputs) == [3.0, 7.0]
    assert result.outputs.type == model_pb2.FLOAT64
    program.terminate()
    assert (await program.ended())[0] == 0

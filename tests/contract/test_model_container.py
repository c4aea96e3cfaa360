"""What every model container answers, in whatever language, over either kind of socket."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from clipper_container import model_pb2
from clipper_container.model_pb2 import Batch, Shape
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

from tests.fakes.languages import Start, large, save_linear, sums
from tests.fakes.sdk_process import Client, Program
from tests.fakes.wire import batch_of, values_of


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([[1, 2]], [3]),
        ([[1, 2], [3, 4], [5, -6]], [3, 7, -1]),
        ([[1, 2], [3], []], [3, 3, 0]),
        ([[], []], [0, 0]),
        ([1, 2], [1, 2]),
        (np.ones((2, 3, 4)), [12, 12]),
    ],
    ids=["one", "many", "ragged", "empty", "numbers", "tensors"],
)
async def test_numbers_of_every_type_and_shape_are_summed(
    client: Client, inputs: Any, outputs: list[float]
) -> None:
    for input_type in (model_pb2.INTEGERS, model_pb2.FLOATS, model_pb2.DOUBLES):
        result = await client.ask(batch_of(inputs, input_type, batch_id=5))
        assert (result.id, values_of(result.outputs)) == (5, outputs)
        assert result.outputs.type == model_pb2.FLOAT64


async def test_one_shape_may_stand_for_all(client: Client) -> None:
    batch = batch_of([[1, 2], [3, 4]])
    del batch.shapes[1:]
    assert values_of((await client.ask(batch)).outputs) == [3, 7]


async def test_a_saved_model_answers_as_it_was_trained(start: Start, tmp_path: Path) -> None:
    x, y = load_iris(return_X_y=True)
    three, two = LogisticRegression(max_iter=500).fit(x, y), LogisticRegression().fit(x, y == 0)
    line = LinearRegression().fit(x, y)
    models = [
        (three, three.predict_proba(x)),
        (two, two.predict_proba(x)[:, 1]),
        (line, line.predict(x)),
    ]
    for number, (model, expected) in enumerate(models):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_linear(model, folder / "model")
        ready, listen = str(folder / "ready"), f"unix:{folder}/s"
        program = await start(MODEL_DATA=str(folder / "model"), READY_FILE=ready, LISTEN=listen)
        program.ready_file = folder / "ready"
        async with Client(await program.ready()) as client:
            result = await client.ask(batch_of(x, model_pb2.DOUBLES))
            short = await client.ask(batch_of([[1, 2]], model_pb2.DOUBLES))
        assert np.allclose(values_of(result.outputs), expected, rtol=1e-9, atol=1e-12)
        assert result.predict_ns > 0
        assert "4" in short.error.message


BAD_COLUMNS = {
    "no inputs": Batch(data=b"", shapes=[Shape(dims=[1])]),
    "no shapes": Batch(size=1, data=bytes(4)),
    "too few shapes": Batch(size=3, data=bytes(8), shapes=[Shape(dims=[1])] * 2),
    "a byte too few": Batch(size=1, data=bytes(7), shapes=[Shape(dims=[2])]),
    "a number too many": Batch(size=1, data=bytes(12), shapes=[Shape(dims=[2])]),
    "no bytes": Batch(size=1, shapes=[Shape(dims=[2])]),
    "billions of inputs": Batch(size=2**32 - 1, data=bytes(8), shapes=[Shape(dims=[2])]),
    "more numbers than 64 bits count": Batch(
        size=1, data=bytes(4), shapes=[Shape(dims=[2**32 - 1] * 3)]
    ),
    "numbers that overflow to none": Batch(size=1, shapes=[Shape(dims=[2**31, 2**31, 4])]),
    "a ragged one of them": Batch(
        size=2, data=bytes(4), shapes=[Shape(dims=[2**31] * 4), Shape(dims=[1])]
    ),
}


async def test_columns_that_do_not_add_up_are_an_error_of_their_batch_only(client: Client) -> None:
    for name, batch in BAD_COLUMNS.items():
        batch.id, batch.input_type = 9, model_pb2.FLOATS
        result = await client.ask(batch)
        assert result.id == 9, name
        assert result.error.message, name
        assert await sums(client), name


async def test_another_input_type_is_an_error_of_its_batch_only(start: Start) -> None:
    program = await start(INPUT_TYPE="floats")
    async with Client(await program.ready()) as client:
        for other in (batch_of(["a"], model_pb2.STRINGS), batch_of([[1]], model_pb2.DOUBLES)):
            message = (await client.ask(other)).error.message.lower()
            assert "takes floats" in message
        assert await sums(client)


async def test_nothing_that_is_no_finite_number_leaves_as_an_output(client: Client) -> None:
    for bad in (float("nan"), float("inf"), 1e308):
        inputs = [[0.0, 0.0], [bad, bad]]
        result = await client.ask(batch_of(inputs, model_pb2.DOUBLES, batch_id=3))
        assert result.id == 3
        assert "utput 1 of the batch" in result.error.message
        assert await sums(client)


async def test_bytes_that_are_no_batch_end_their_stream_only(client: Client) -> None:
    stream = client.open()
    await stream.write(b"\xff\xff\xff")
    await stream.code()
    assert await sums(client)


async def test_a_batch_beyond_the_limit_is_refused_with_the_limit(start: Start) -> None:
    program = await start(MAX_MESSAGE_BYTES="1000")
    async with Client(await program.ready()) as client:
        assert (await client.describe()).max_message_bytes == 1000
        result = await client.ask(batch_of([[0] * 300], batch_id=4))
        assert result.id == 4
        assert "1000" in result.error.message
        assert await sums(client)


async def test_batches_sent_ahead_are_answered_in_their_order(client: Client) -> None:
    for number in range(50):
        await client.send(batch_of([[number]], batch_id=number))
    results = [await client.receive() for _ in range(50)]
    assert all(results)
    answers = [(one.id, values_of(one.outputs)) for one in results if one]
    assert answers == [(number, [number]) for number in range(50)]


async def test_many_megabytes_pass_in_both_directions(client: Client) -> None:
    result = await client.ask(large(10 << 20))
    numbers = np.frombuffer(result.outputs.data)
    assert np.array_equal(numbers, np.arange(5 << 19))


async def test_streams_do_not_wait_for_one_another(client: Client, program: Program) -> None:
    async with Client(await program.ready()) as other:
        for number in range(20):
            for each in (client, other):
                assert await sums(each), number


async def test_a_container_describes_itself(start: Start, tmp_path: Path) -> None:
    program = await start(INPUT_TYPE="doubles")
    async with Client(await program.ready()) as client:
        described = await client.describe()
    assert (described.protocol, described.input_type) == (1, model_pb2.DOUBLES)
    assert described.sdk.startswith("clipper-")
    assert described.max_message_bytes == 256 << 20


async def test_without_an_input_type_any_is_taken(client: Client) -> None:
    assert (await client.describe()).input_type == model_pb2.INPUT_TYPE_UNSPECIFIED


async def test_every_call_without_the_token_is_refused(start: Start) -> None:
    address = await (await start(TOKEN="secret")).ready()
    async with Client(address, "secret") as friend:
        assert await sums(friend)
        for token in ("", "wrong", "secret2", "secre", "Secret"):
            async with Client(address, token) as stranger:
                for call in (stranger.describe(), stranger.check(), stranger.watch().read()):
                    with pytest.raises(grpc.aio.AioRpcError) as error:
                        await call
                    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
                assert await stranger.open().code() is grpc.StatusCode.UNAUTHENTICATED
        assert await friend.check() == 1


async def test_an_unknown_service_has_no_health(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await client.check("clipper.v1.Other")
    assert error.value.code() is grpc.StatusCode.NOT_FOUND
    assert await client.check("") == await client.check() == 1

"""Inputs as frames, from the clients to real models in containers."""

import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest

from clipper.admin.aio import AsyncQueryClient
from clipper.admin.client import ClipperConnection, ClipperRefused
from tests.fakes.clipperd import MODELS, Clipperd, script
from tests.fakes.frames import frame

SDK_MODELS = MODELS.with_name("sdk_models.py")
PATIENT_US = 10_000_000
DTYPES = {"integers": np.int32, "floats": np.float32, "doubles": np.float64}
IMAGE = np.random.default_rng(1).random((224, 224, 3), dtype=np.float32)


def serve(clipper: ClipperConnection, name: str, input_type: str, model: str) -> None:
    """An application and a model of this name, linked."""
    clipper.register_application(name, input_type, '"default"', PATIENT_US)
    clipper.deploy_model(name, 1, input_type, f"{SDK_MODELS}:{model}", framework="python")
    clipper.link_model_to_app(name, name)


@pytest.mark.parametrize("input_type", sorted(DTYPES))
def test_a_tensor_reaches_the_model_with_its_shape_type_and_values(
    clipper: ClipperConnection, input_type: str
) -> None:
    serve(clipper, "echo", input_type, "Echo")
    serve(clipper, "seen", input_type, "Describes")
    tensor = (IMAGE[:5, :4] * 1000).astype(DTYPES[input_type])
    assert clipper.predict("echo", tensor).output == tensor.tolist()
    assert clipper.predict("seen", tensor).output == f"ndarray {tensor.dtype} [5, 4, 3]"


def test_images_and_vectors_go_together_and_answers_keep_their_order(
    clipper: ClipperConnection,
) -> None:
    serve(clipper, "seen", "floats", "Describes")
    inputs = [IMAGE, IMAGE[0, 0], IMAGE.T, IMAGE[0, :0], IMAGE[0]]
    seen = [answer.output for answer in clipper.predict_batch("seen", inputs)]
    shapes = ["[224, 224, 3]", "[3]", "[3, 224, 224]", "[0, 3]", "[224, 3]"]
    assert [one.partition("float32 ")[2] for one in seen] == shapes


def test_bytes_reach_the_model_as_they_are(clipper: ClipperConnection) -> None:
    serve(clipper, "seen", "bytes", "Describes")
    assert clipper.predict("seen", b"\0\xff\n").output == "list bytes b'\\x00\\xff\\n'"
    assert clipper.predict("seen", b"").output == "list bytes b''"


@pytest.mark.parametrize(
    ("input_type", "data", "seen"),
    [
        ("strings", "größer\n".encode(), "list str 'größer\\n'"),
        ("json", b' {"a": [1, null, "x"]}', "list dict {'a': [1, None, 'x']}"),
    ],
)
def test_text_and_json_may_be_frames_too(
    daemon: Clipperd, clipper: ClipperConnection, input_type: str, data: bytes, seen: str
) -> None:
    serve(clipper, "seen", input_type, "Describes")
    headers = {"Content-Type": "application/octet-stream"}
    body = frame(input_type, data)
    answer = daemon.call("POST", "/seen/predict", content=body, headers=headers)
    assert answer.json()["output"] == seen


def test_what_json_has_keys_for_goes_with_frames(clipper: ClipperConnection) -> None:
    serve(clipper, "seen", "floats", "Describes")
    framed = clipper.predict("seen", IMAGE, version="1", context="größer & mehr", explain=True)
    assert framed.raw["models"] == ["seen:1"]
    plain = clipper.predict("seen", IMAGE.tolist(), explain=True)
    assert (framed.raw["cache"], plain.raw["cache"]) == ("none", "exact")
    with pytest.raises(ClipperRefused, match="version: 9 does not exist"):
        clipper.predict("seen", IMAGE, version="9")


def test_an_application_takes_the_arrays_whose_numbers_it_takes(clipper: ClipperConnection) -> None:
    serve(clipper, "seen", "floats", "Describes")
    for dtype in (np.float64, np.int64, np.uint8):
        answer = clipper.predict("seen", IMAGE.astype(dtype))
        assert answer.output == "ndarray float32 [224, 224, 3]"
    with pytest.raises(ClipperRefused, match="Every number has to be finite"):
        clipper.predict("seen", np.array([1, 1e39]))
    with pytest.raises(ClipperRefused, match="nan at place 1"):
        clipper.predict("seen", np.array([1, np.nan], np.float32))
    serve(clipper, "counts", "integers", "Describes")
    with pytest.raises(ClipperRefused, match="takes integers"):
        clipper.predict("counts", IMAGE)


async def test_the_async_client_sends_frames_too(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "seen", "floats", "Describes")
    async with AsyncQueryClient(daemon.query_url) as queries:
        assert (await queries.predict("seen", IMAGE)).output == "ndarray float32 [224, 224, 3]"
        answers = await queries.predict_batch("seen", [IMAGE, IMAGE[0]])
        assert [one.output.split(" ", 2)[2] for one in answers] == ["[224, 224, 3]", "[224, 3]"]


def test_clipper_admin_asks_about_a_file(
    daemon: Clipperd, clipper: ClipperConnection, tmp_path: Path
) -> None:
    serve(clipper, "seen", "floats", "Describes")
    np.save(tmp_path / "image.npy", IMAGE)
    command = [*script("clipper-admin", "clipper.admin.cli"), "query", "seen", "--file"]
    where = ["--url", daemon.url, "--query-url", daemon.query_url]
    done = subprocess.run(
        [*command, str(tmp_path / "image.npy"), *where], capture_output=True, text=True, check=True
    )
    assert done.stdout == '"ndarray float32 [224, 224, 3]"\n'


def test_many_images_at_once_are_told_apart(daemon: Clipperd, clipper: ClipperConnection) -> None:
    serve(clipper, "echo", "floats", "Echo")
    headers = {"Content-Type": "application/octet-stream"}
    shape = (50, 50, 3)
    images = [np.full(shape, number, np.float32) for number in range(40)]
    body = b"".join(frame("floats", image.tobytes(), shape) for image in images)
    with httpx.Client(base_url=daemon.query_url, trust_env=False, timeout=60) as http:
        answer = http.post("/echo/predict", content=body, headers=headers).json()
    outputs = [one["output"] for one in answer["batch_predictions"]]
    assert outputs == [image.tolist() for image in images]

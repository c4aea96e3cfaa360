"""Every framework's image serves a real model: saved by what is in it, started as the daemon does.

TensorFlow's is built only where it is asked for, and missing it is no failure unless TEST_REQUIRE
names tensorflow.
"""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from clipper.core.types import Deployment, Input, InputType, ModelId, ReplicaId
from clipper.deploy.docker.manager import DockerManager
from clipper.deploy.docker.recipe import framework_image
from clipper.deploy.frameworks import FRAMEWORKS
from clipper.deploy.manager import Container, ContainerSpec
from clipper.rpc.replica import GrpcReplica
from tests.fakes.engine import has_image, require_image
from tests.fakes.needs import missing

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
LOADING_S = 120
SHOUT = """
from clipper_container import ModelContainer

class Shout(ModelContainer):
    def predict_batch(self, inputs):
        return [text.upper() for text in inputs]
"""
# Twice the number and one more, as a network and as trees have it; each script saves it as NAME.
TABLE = "import numpy as np; x = np.arange(64.0).reshape(-1, 1); y = 2 * x[:, 0] + 1"
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] good bad"


@dataclass(frozen=True, slots=True)
class Case:
    """How a framework's model is made, and what is to come of it."""

    name: str
    """Of the file or folder that is saved; empty where there is none."""
    script: str
    """Python that saves it, run in the framework's own image."""
    input: Any
    output: Any = None
    """With numbers that the model only comes near to as `pytest.approx` has them; none where the
    script prints what the model itself says to the input, a number."""
    input_type: InputType = InputType.DOUBLES


NETWORK = """
import torch
class Net(torch.nn.Module):
    def forward(self, x):
        return 2 * x + 1
example = (torch.zeros(2, 1),)
shapes = {"x": {0: torch.export.Dim("batch")}}
torch.export.save(torch.export.export(Net(), example, dynamic_shapes=shapes), "NAME")
"""
TRANSFORMER = f"""
import pathlib, transformers
folder = pathlib.Path("NAME"); folder.mkdir()
(folder / "vocab.txt").write_text("\\n".join("{WORDS}".split()))
transformers.BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
config = transformers.BertConfig(
    vocab_size=7, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
    num_labels=1, id2label={{0: "LIKED"}}, label2id={{"LIKED": 0}},
)
transformers.BertForSequenceClassification(config).save_pretrained(folder)
"""
MLFLOW = """
import mlflow.pyfunc
class Line(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [2 * float(x) + 1 for x in model_input.iloc[:, 0]]
mlflow.pyfunc.save_model("NAME", python_model=Line(), pip_requirements=[])
"""
CLOSURE = "import cloudpickle; k = 2\ndef f(xs): return [k * x.sum() + 1 for x in xs]\n"
CASES = {
    "python": Case("", "", "loud", "LOUD", InputType.STRINGS),
    "noop": Case("", "", [1.0, 2.0], 3.0),
    "closure": Case(
        "f.cloudpickle", CLOSURE + "cloudpickle.dump(f, open('NAME', 'wb'))", [10.0], 21.0
    ),
    "sklearn": Case(
        "m.joblib",
        f"{TABLE}; import joblib; from sklearn.linear_model import LinearRegression\n"
        "joblib.dump(LinearRegression().fit(x, y), 'NAME')",
        [10.0],
        pytest.approx(21.0),
    ),
    "pytorch": Case("m.pt2", NETWORK, [10.0], [21.0], InputType.FLOATS),
    "onnx": Case("m.onnx", "", [10.0], [21.0], InputType.FLOATS),
    "xgboost": Case(
        "m.ubj",
        f"{TABLE}; import xgboost\n"
        "xgboost.train({'max_depth': 8, 'eta': 1}, xgboost.DMatrix(x, y), 20)"
        ".save_model('NAME')\n"
        "print(xgboost.Booster(model_file='NAME').predict(xgboost.DMatrix([[10.0]]))[0])",
        [10.0],
    ),
    "lightgbm": Case(
        "m.lgb",
        f"{TABLE}; import lightgbm\n"
        "params = {'min_data_in_leaf': 1, 'learning_rate': 1, 'verbose': -1}\n"
        "params |= {'deterministic': True, 'force_row_wise': True, 'num_threads': 1, 'seed': 1}\n"
        "lightgbm.train(params, lightgbm.Dataset(x, y), 20).save_model('NAME')\n"
        "print(lightgbm.Booster(model_file='NAME').predict([[10.0]])[0])",
        [10.0],
    ),
    "tensorflow": Case(
        "m.keras",
        "import tensorflow as tf\n"
        "net = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Rescaling(2.0, 1.0)])\n"
        "net.save('NAME')",
        [10.0],
        [21.0],
        InputType.FLOATS,
    ),
    "transformers": Case(
        "m",
        TRANSFORMER,
        "good",
        {"label": "LIKED", "score": pytest.approx(0.5, abs=0.5)},
        InputType.STRINGS,
    ),
    "mlflow": Case("m", MLFLOW, {"x": 10.0}, 21.0, InputType.JSON),
}


def save(framework: str, folder: Path) -> tuple[str, str]:
    """Make the model; returns the path to deploy, and what the script printed."""
    case = CASES[framework]
    folder.chmod(0o777)  # the image's user is another
    if framework == "python":
        (folder / "shout.py").write_text(SHOUT)
        return f"{folder}/shout.py:Shout", ""
    printed = ""
    if framework == "onnx":
        save_onnx(folder / case.name)
    elif case.script:
        image = framework_image("clipper", framework)
        command = ["docker", "run", "--rm", "--network", "none", "--volume", f"{folder}:/saved"]
        command += ["--workdir", "/saved", "--env", "HOME=/tmp", "--entrypoint", "python3", image]
        script = case.script.replace("NAME", case.name)
        done = subprocess.run([*command, "-c", script], check=True, stdout=subprocess.PIPE)
        printed = done.stdout.decode()
    return str(folder / case.name) if case.name else "", printed


def save_onnx(path: Path) -> None:
    """The image has what runs such models, not what makes them."""
    numbers = {"two": 2.0, "one": 1.0}
    constants = [helper.make_tensor(key, TensorProto.FLOAT, [1], [n]) for key, n in numbers.items()]
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["doubled"]),
        helper.make_node("Add", ["doubled", "one"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("x", "y")
    ]
    graph = helper.make_graph(nodes, "line", ends[:1], ends[1:], constants)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


@pytest.fixture
async def containers(tmp_path: Path) -> AsyncIterator[DockerManager]:
    """An open Docker manager, as the daemon has it."""
    require_image(framework_image("clipper", "python"))
    manager = DockerManager(tmp_path / "data", "clipper")
    await manager.open()
    yield manager
    await manager.close()


async def ask(container: Container, case: Case) -> Any:
    """The output for one input, as soon as the model is ready; it must not end before."""
    replica = GrpcReplica(container.replica, case.input_type, container.address, container.token)
    ended = asyncio.ensure_future(container.wait())
    connecting = asyncio.ensure_future(replica.connect())
    try:
        await asyncio.wait((ended, connecting), timeout=LOADING_S, return_when="FIRST_COMPLETED")
        assert not ended.done(), "\n".join(ended.result().lines)
        await connecting
        outcome = await replica.predict([encoded(case)])
    finally:
        for each in (ended, connecting):
            each.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await each
        await replica.close()
    return outcome.outputs[0].value


def encoded(case: Case) -> Input:
    """As applications' inputs travel."""
    match case.input_type:
        case InputType.STRINGS:
            return Input(case.input.encode())
        case InputType.JSON:
            return Input(str(case.input).replace("'", '"').encode())
        case InputType.FLOATS:
            return Input(np.array(case.input, np.float32).tobytes())
        case _:
            return Input(np.array(case.input, np.float64).tobytes())


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_the_image_of_every_framework_serves_a_model(
    containers: DockerManager, framework: str, tmp_path: Path
) -> None:
    image = framework_image("clipper", framework)
    if framework == "tensorflow" and not has_image(image):
        missing("tensorflow", "its image was not asked for")
    require_image(image)
    saved = tmp_path / "saved"
    saved.mkdir()
    case = CASES[framework]
    path, printed = save(framework, saved)
    expected = pytest.approx(float(printed)) if case.output is None else case.output
    deployment = Deployment("docker", framework, path)
    replica = ReplicaId(ModelId(framework, "1"), 0)
    container = await containers.start(ContainerSpec(replica, case.input_type, deployment))
    assert await ask(container, case) == expected

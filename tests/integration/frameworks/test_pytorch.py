"""PyTorch's networks in every form in which they are saved, as they answer where they were made."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
from clipper_container import LoadError
from safetensors.torch import save_file

from tests.integration.frameworks.conftest import Load, Refuse, Serve

# PyTorch would rather see torch.export, but there are networks of TorchScript to be served.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

NET = """
from collections import OrderedDict
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(4, 8)
        self.drop = torch.nn.Dropout(0.9)
        self.scores = torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.scores(self.drop(torch.relu(self.hidden(x))))

class Two(Net):
    def forward(self, x, y):
        return x + y

class Heads(Net):
    def forward(self, x):
        scores = super().forward(x)
        return {"scores": scores, "label": scores.argmax(dim=1), "loss": None}

class Pair(Net):
    def forward(self, x):
        scores = super().forward(x)
        return scores.bfloat16(), scores.argmax(dim=1)

class NoNet: pass

class Sized(Net):
    def __init__(self, size): pass
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A file of networks."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "net_of_tests.py").write_text(NET)
    return folder / "net_of_tests.py"


@pytest.fixture
def trained(code: Path, table: tuple[Any, Any]) -> Callable[[str], Any]:
    """A network of that file, by name, after some steps of training."""
    spec = importlib.util.spec_from_file_location("net_of_tests", code)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(1)
    features, classes = torch.tensor(table[0]).float(), torch.tensor(table[1])

    def train(name: str = "Net") -> Any:
        net = getattr(module, name)()
        optimizer = torch.optim.Adam(net.parameters(), 0.05)
        for _ in range(20):
            hidden = torch.relu(net.hidden(features))
            loss = torch.nn.functional.cross_entropy(net.scores(hidden), classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return net.eval()

    return train


@pytest.fixture
def inputs(table: tuple[Any, Any]) -> Any:
    return table[0][:5].astype(np.float32)


def answers_of(net: Any, inputs: Any) -> Any:
    """What a network answers here."""
    with torch.inference_mode():
        return net(torch.from_numpy(inputs)).numpy()


def export(net: Any, path: Path, **options: Any) -> None:
    """Write an exported program, made with two inputs."""
    torch.export.save(torch.export.export(net, (torch.zeros(2, 4),), **options), path)


async def test_an_exported_program_says_what_it_takes(
    serve: Serve, trained: Callable[[], Any], inputs: Any, tmp_path: Path
) -> None:
    net = trained()
    shapes = {"x": {0: torch.export.Dim("batch")}}
    export(net, tmp_path / "net.pt2", dynamic_shapes=shapes)
    served = await serve("pytorch", tmp_path)
    np.testing.assert_allclose(await served.predict(inputs), answers_of(net, inputs), rtol=1e-5)
    said = served.description
    assert said.model.startswith(f"PyTorch {torch.__version__} on cpu, ")
    assert (said.input_type, said.input_form, said.output_form) == (2, "float32[4]", "float32[3]")
    wide = await served.result([[1, 2, 3]])
    assert "has the shape [3]; it takes float32[4]" in wide.error.message
    assert len(await served.predict(inputs[:1])) == 1


async def test_safetensors_are_served_with_the_class_of_their_network(
    serve: Serve, trained: Callable[[], Any], inputs: Any, code: Path, tmp_path: Path
) -> None:
    net = trained()
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    served = await serve("pytorch", tmp_path, "doubles", code=f"{code}:Net")
    answers = await served.predict(inputs, "doubles")
    np.testing.assert_allclose(answers, answers_of(net, inputs), rtol=1e-5)
    assert served.description.model.endswith("on cpu, Net")


async def test_a_function_is_called_with_the_live_network_that_lies_beside_it(
    serve: Serve, trained: Callable[[], Any], inputs: Any, tmp_path: Path
) -> None:
    def label(model: Any, rows: Any) -> Any:
        assert not model.training
        return [int(model(torch.tensor(np.array([row])).float()).argmax()) for row in rows]

    net = torch.nn.Sequential(trained().hidden, torch.nn.ReLU(), torch.nn.Dropout(0.9))
    (tmp_path / "model.cloudpickle").write_bytes(cloudpickle.dumps(net))
    (tmp_path / "func.cloudpickle").write_bytes(cloudpickle.dumps(label))
    served = await serve("pytorch", tmp_path, "integers")
    rows = np.round(inputs * 3).astype(np.int32)
    assert await served.predict(rows, "integers") == label(net.eval(), rows)


def test_torchscript_is_read(
    load: Load, trained: Callable[[], Any], inputs: Any, tmp_path: Path
) -> None:
    net = trained()
    torch.jit.script(net).save(tmp_path / "net.pt")
    model = load("pytorch", tmp_path)
    np.testing.assert_allclose(model.predict_batch(inputs), answers_of(net, inputs), rtol=1e-5)
    np.testing.assert_allclose(model.predict_batch(inputs.astype(float)), answers_of(net, inputs))


def test_a_state_dict_is_read_with_its_class(
    load: Load, trained: Callable[[], Any], inputs: Any, code: Path, tmp_path: Path
) -> None:
    net = trained()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    model = load("pytorch", tmp_path, code=f"{code}:Net")
    np.testing.assert_allclose(model.predict_batch(inputs), answers_of(net, inputs), rtol=1e-5)


def test_a_network_that_was_saved_whole_is_read(load: Load, inputs: Any, tmp_path: Path) -> None:
    net = torch.nn.Linear(4, 2)
    torch.save(net, tmp_path / "net.pt")
    model = load("pytorch", tmp_path / "net.pt")
    np.testing.assert_allclose(model.predict_batch(inputs), answers_of(net, inputs), rtol=1e-5)


def test_a_program_for_one_size_of_batch_takes_any(
    load: Load, trained: Callable[[], Any], inputs: Any, tmp_path: Path
) -> None:
    net = trained()
    export(net, tmp_path / "net.pt2")
    answers = load("pytorch", tmp_path).predict_batch(inputs)
    np.testing.assert_allclose(answers, answers_of(net, inputs), rtol=1e-5)


def test_several_outputs_are_an_object_for_each_input_or_the_one_that_is_wanted(
    load: Load, trained: Callable[[str], Any], inputs: Any, code: Path, tmp_path: Path
) -> None:
    weights = trained("Heads").state_dict()
    torch.save(weights, tmp_path / "net.pth")
    answers = load("pytorch", tmp_path, code=f"{code}:Heads").predict_batch(inputs)
    assert [each["scores"].argmax() for each in answers] == [each["label"] for each in answers]
    assert answers[0].keys() == {"scores", "label"}
    labels = load("pytorch", tmp_path, code=f"{code}:Heads", output="label").predict_batch(inputs)
    assert labels.tolist() == [each["label"] for each in answers]
    scores = load("pytorch", tmp_path, code=f"{code}:Pair", output="0").predict_batch(inputs)
    assert scores.dtype == np.float32
    with pytest.raises(LoadError, match="no output '2'; it has 0, 1"):
        load("pytorch", tmp_path, code=f"{code}:Pair", output="2").predict_batch(inputs)


def test_a_class_that_predicts_by_itself_is_served_with_the_weights(
    load: Load, trained: Callable[[], Any], tmp_path: Path
) -> None:
    torch.save(trained().state_dict(), tmp_path / "net.pth")
    (tmp_path / "own_of_tests.py").write_text(
        "import torch\nfrom clipper_container import ModelContainer\n"
        "class Own(ModelContainer):\n"
        "    def predict_batch(self, inputs):\n"
        "        return [len(torch.load(self.model_data)) for _ in inputs]\n"
    )
    model = load("pytorch", tmp_path / "net.pth", code=f"{tmp_path}/own_of_tests.py:Own")
    assert model.predict_batch(["a", "b"]) == [4, 4]


async def test_weights_of_another_network_are_refused_in_one_line(
    refuse: Refuse, trained: Callable[[], Any], code: Path, tmp_path: Path
) -> None:
    weights = trained().state_dict()
    weights["other.weight"] = weights.pop("scores.weight")
    torch.save(weights, tmp_path / "net.pth")
    told = await refuse("pytorch", tmp_path, code=f"{code}:Net")
    assert "net.pth cannot be read as a PyTorch model: RuntimeError: Error(s) in loading" in told
    assert '"scores.weight"' in told
    assert '"other.weight"' in told


def test_weights_without_their_class_or_with_another_are_refused(
    load: Load, trained: Callable[[], Any], code: Path, tmp_path: Path
) -> None:
    torch.save(trained().state_dict(), tmp_path / "net.pth")
    with pytest.raises(
        LoadError, match=r"deploy its class: net\.py:Net --framework pytorch --model-data net\.pth"
    ):
        load("pytorch", tmp_path)
    with pytest.raises(LoadError, match=r"NoNet, of the weights .*, is no torch\.nn\.Module"):
        load("pytorch", tmp_path, code=f"{code}:NoNet")
    with pytest.raises(LoadError, match="has no class Nett"):
        load("pytorch", tmp_path, code=f"{code}:Nett")
    with pytest.raises(LoadError, match=r"Sized is made without arguments .*; give them defaults"):
        load("pytorch", tmp_path, code=f"{code}:Sized")


@pytest.mark.parametrize("key", ["model_state_dict", "state_dict"])
def test_the_weights_of_a_checkpoint_are_found(
    load: Load, trained: Callable[[], Any], inputs: Any, code: Path, tmp_path: Path, key: str
) -> None:
    net = trained()
    torch.save({"epoch": 3, key: net.state_dict()}, tmp_path / "net.pth")
    model = load("pytorch", tmp_path, code=f"{code}:Net")
    np.testing.assert_allclose(model.predict_batch(inputs), answers_of(net, inputs), rtol=1e-5)


def test_a_network_saved_whole_without_its_file_says_how_to_bring_it(
    load: Load, code: Path, tmp_path: Path
) -> None:
    sys.modules.pop("net_of_tests", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(code.parent)
        torch.save(importlib.import_module("net_of_tests").Net(), tmp_path / "whole.pt")
    del sys.modules["net_of_tests"]
    with pytest.raises(LoadError, match=r"deploy net_of_tests\.py:Class --framework pytorch"):
        load("pytorch", tmp_path / "whole.pt")


def test_a_network_of_two_inputs_is_refused(
    load: Load, trained: Callable[[str], Any], code: Path, tmp_path: Path
) -> None:
    net = trained("Two")
    torch.save(net.state_dict(), tmp_path / "net.pth")
    with pytest.raises(LoadError, match="The network takes 2 inputs, x, y; wrap it"):
        load("pytorch", tmp_path / "net.pth", code=f"{code}:Two")
    torch.jit.script(net).save(tmp_path / "net.pt")
    with pytest.raises(LoadError, match="The network takes 2 inputs, x, y; wrap it"):
        load("pytorch", tmp_path / "net.pt")
    both = (torch.zeros(2, 4), torch.zeros(2, 4))
    torch.export.save(torch.export.export(net, both), tmp_path / "net.pt2")
    with pytest.raises(LoadError, match="takes 2 inputs, x, y"):
        load("pytorch", tmp_path / "net.pt2")


@pytest.mark.parametrize("suffix", [".pt", ".pt2", ".cloudpickle"])
def test_a_function_may_call_a_network_of_two_inputs(
    load: Load, trained: Callable[[str], Any], tmp_path: Path, suffix: str
) -> None:
    net = trained("Two")
    both = (torch.zeros(2, 4), torch.zeros(2, 4))
    if suffix == ".pt":
        torch.jit.script(net).save(tmp_path / "net.pt")
    elif suffix == ".pt2":
        torch.export.save(torch.export.export(net, both), tmp_path / "net.pt2")
    else:
        (tmp_path / "net.cloudpickle").write_bytes(cloudpickle.dumps(torch.nn.Bilinear(4, 4, 1)))

    def call(model: Any, inputs: Any) -> Any:
        return [list(model(*both).shape) for _ in inputs]

    (tmp_path / "func.cloudpickle").write_bytes(cloudpickle.dumps(call))
    width = 1 if suffix == ".cloudpickle" else 4
    assert load("pytorch", tmp_path).predict_batch([{"a": 1}]) == [[2, width]]


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pt2", ".safetensors", ".cloudpickle"])
def test_a_corrupt_file_is_refused(load: Load, tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"net{suffix}").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(LoadError, match=rf"net{suffix} cannot be read as a PyTorch model: \w+"):
        load("pytorch", tmp_path)


def test_a_pickle_of_something_else_is_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "net.cloudpickle").write_bytes(cloudpickle.dumps([1, 2]))
    with pytest.raises(LoadError, match=r"net\.cloudpickle holds a list"):
        load("pytorch", tmp_path)


async def test_an_output_that_torchscript_does_not_declare_is_refused(
    refuse: Refuse, trained: Callable[[str], Any], tmp_path: Path
) -> None:
    torch.jit.script(trained("Net")).save(tmp_path / "net.pt")
    told = await refuse("pytorch", tmp_path, output="scores")
    assert "The model has no output 'scores'; it has 0." in told


def test_one_of_a_pair_that_torchscript_declares_is_taken(
    load: Load, trained: Callable[[str], Any], tmp_path: Path
) -> None:
    torch.jit.trace(trained("Pair"), torch.zeros(2, 4)).save(tmp_path / "net.pt")
    assert load("pytorch", tmp_path, output="1").predict_batch(np.zeros((2, 4))).shape == (2,)
    with pytest.raises(LoadError, match="no output '2'; it has 0, 1"):
        load("pytorch", tmp_path, output="2")

"""Serves a PyTorch network: TorchScript, torch.export, a saved module, or weights and their class.

Weights (safetensors, or a state_dict) need the class that they belong to, `net.py:Net`; it is made
without arguments. The network runs on CUDA where there is a device, else on the CPU.
"""

import inspect
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clipper_container import LoadError, ModelContainer
from clipper_container.answers import answer, check_output
from clipper_container.forms import Form, Forms, in_fixed_batches, stacked
from clipper_container.functions import load_object
from clipper_container.loading import class_of
from clipper_container.saved import find_file, reading

SUFFIXES = (".pt", ".pth", ".pt2", ".safetensors", ".bin", ".cloudpickle")

CHECKPOINTS = ("model_state_dict", "state_dict")
"""Under what checkpoints keep the weights."""


class PytorchContainer(ModelContainer):
    """Answers with the network's output, or the one of several that the output option names."""

    takes_class = True

    def __init__(self, model_data: str) -> None:
        """Load the file, or the only such file of a folder, onto the device."""
        super().__init__(model_data)
        path = find_file(model_data, SUFFIXES)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._form: Form | None = None
        self._batch_size: int | None = None
        # Its own code, so outside of what is said of the file.
        network = made(class_of(self.options.code)) if self.options.code else None
        with reading(path, "a PyTorch model", "--framework pytorch"):
            if path.suffix == ".pt2":
                self.model = self._exported(torch.export.load(path))
            else:
                self.model = load_network(path, network).eval().to(self._device)
            if not self.has_function:
                check_one_input(self.model)
                check_output(self.options.output, declared_outputs(self.model))
        kind = getattr(self.model, "original_name", type(self.model).__name__)
        self.about = f"PyTorch {torch.__version__} on {self._device.type}, {kind}"
        dtypes = (each.dtype for each in self.model.parameters() if each.is_floating_point())
        self._floating = next(dtypes, torch.float32)

    def _exported(self, program: Any) -> Any:
        """The network of an exported program."""
        if not self.has_function:
            self._read_form(program)
        if self._device.type == "cuda":  # constants are in the program's code, which .to() leaves
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, self._device)
        return program.module()

    def _read_form(self, program: Any) -> None:
        """An exported program knows the form of its inputs."""
        names = program.graph_signature.user_inputs
        if len(names) != 1:
            raise LoadError(
                f"The program takes {len(names)} inputs, {', '.join(names)}; export one of one."
            )
        node = next(node for node in program.graph.nodes if node.name in names)
        example = node.meta["val"]
        sizes = [size if isinstance(size, int) else None for size in example.shape]
        self._batch_size = sizes[0]
        self._form = Form(torch.empty(0, dtype=example.dtype).numpy().dtype, tuple(sizes[1:]))
        self.describe_inputs(Forms.one(self._form))

    def predict_batch(self, inputs: Any) -> Any:
        """One output for each input; arrays become tensors, anything else goes in as it is."""
        if self._form:
            inputs = self._form.batch(inputs)
        elif isinstance(inputs[0], np.ndarray):
            inputs = stacked(inputs)
        if self._batch_size is None:
            return answer(self._run(inputs), self.options.output)
        parts = in_fixed_batches(
            lambda columns: self._run(columns["x"]), {"x": inputs}, self._batch_size
        )
        return answer(parts, self.options.output)

    def _run(self, inputs: Any) -> dict[str, Any]:
        with torch.inference_mode():
            outputs = self.model(self._on_device(inputs))
        return {name: on_host(output) for name, output in named(outputs).items()}

    def _on_device(self, inputs: Any) -> Any:
        if not isinstance(inputs, np.ndarray):
            return inputs
        tensor = torch.from_numpy(inputs)
        if self._form is None:  # it does not say, so: as its weights are, and as torch counts
            tensor = tensor.to(self._floating if tensor.is_floating_point() else torch.int64)
        if self._device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)


def load_network(path: Path, network: Any) -> torch.nn.Module:
    """The network of a file; where that holds weights, the given one with them.

    Raises:
        LoadError: the file holds something else, or there is no network for its weights.
    """
    loaded = load_by_kind(path)
    if isinstance(loaded, torch.nn.Module):
        return loaded
    if not isinstance(loaded, Mapping):
        raise LoadError(f"{path} holds a {type(loaded).__name__}, which is no torch.nn.Module.")
    if network is None:
        raise LoadError(
            f"{path} holds weights without their network; deploy its class: "
            f"net.py:Net --framework pytorch --model-data {path.name}."
        )
    if not isinstance(network, torch.nn.Module):
        raise LoadError(f"{type(network).__name__}, of the weights {path}, is no torch.nn.Module.")
    network.load_state_dict(weights_of(loaded))
    return network


def made(cls: type[Any]) -> Any:
    """An instance, for weights to be loaded into.

    Raises:
        LoadError: it cannot be made without arguments.
    """
    try:
        inspect.signature(cls).bind()
    except TypeError as error:
        raise LoadError(
            f"{cls.__name__} is made without arguments ({error}); give them defaults."
        ) from error
    return cls()


def weights_of(loaded: Mapping[str, Any]) -> Mapping[str, Any]:
    """The weights themselves, which checkpoints of training hold among other things."""
    within = (loaded[name] for name in CHECKPOINTS if isinstance(loaded.get(name), Mapping))
    return next(within, loaded)


def load_by_kind(path: Path) -> Any:
    """A module, or the weights of one by name."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if path.suffix == ".cloudpickle":
        return load_object(path)
    if is_torchscript(path):
        return torch.jit.load(str(path), map_location="cpu")
    return torch.load(path, map_location="cpu", weights_only=False)


def is_torchscript(path: Path) -> bool:
    """Whether the file is an archive with code in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def check_one_input(network: torch.nn.Module) -> None:
    """Refuse a network that cannot be called with one batch.

    Raises:
        LoadError: its forward wants more.
    """
    if isinstance(network, torch.jit.ScriptModule):
        arguments = network.forward.schema.arguments[1:]
        wanted = [each.name for each in arguments if not each.has_default_value()]
    else:
        parameters = inspect.signature(network.forward).parameters.values()
        wanted = [
            each.name
            for each in parameters
            if each.default is each.empty
            and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        ]
    if len(wanted) > 1:
        raise LoadError(
            f"The network takes {len(wanted)} inputs, {', '.join(wanted)}; "
            "wrap it in one that takes one tensor, or deploy a function with it."
        )


def declared_outputs(network: torch.nn.Module) -> Iterable[str] | None:
    """The outputs that TorchScript declares, by their place; none where only a run can tell."""
    if not isinstance(network, torch.jit.ScriptModule):
        return None
    returned = network.forward.schema.returns[0].type
    if returned.kind() == "TensorType":
        return ["0"]
    if returned.kind() == "TupleType":
        return [str(place) for place, _ in enumerate(returned.elements())]
    return None


def named(outputs: Any) -> Mapping[str, Any]:
    """The outputs by name, or by their place."""
    if isinstance(outputs, Mapping):
        return {name: output for name, output in outputs.items() if output is not None}
    if isinstance(outputs, tuple | list):
        return {str(place): output for place, output in enumerate(outputs)}
    return {"0": outputs}


def on_host(output: Any) -> Any:
    """A tensor as an array; numpy has no bfloat16."""
    if not isinstance(output, torch.Tensor):
        return output
    return (output.float() if output.dtype == torch.bfloat16 else output).cpu().numpy()

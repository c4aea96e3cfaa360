"""Calls that deploy: a model that is saved, or one in memory, under the names of the old client."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from clipper.admin.errors import ClipperTimeout, DeployTimeout
from clipper.admin.listener import Listener
from clipper.admin.live import CLOSURE, pickle, save
from clipper.admin.messages import request
from clipper.admin.packaging import Saved, check_image, saved
from clipper.admin.sending import send, send_code

AUTO = "auto"
DEPLOY_MARGIN_S = 15.0
"""How much longer than the daemon the client waits, so that the daemon's reason arrives."""
LONGEST_S = 1800.0
"""What installing packages and loading may take at most, where no time is given."""

Function = Callable[[Any], Any]
"""From a batch of inputs to as many outputs."""
ModelFunction = Callable[[Any, Any], Any]
"""From a model and a batch of inputs to as many outputs."""


class Options(TypedDict, total=False):
    """What else a deployment may say; nothing of it has to be said."""

    manager: str
    """`process` (the default) or `docker`."""
    num_replicas: int
    labels: Sequence[str] | None
    timeout_s: float | None
    """How long it may take until the first replica is ready; by default, 120 s from when its
    packages are installed."""
    keep_current: bool
    """Leave the version that is current so: this one is tried first, by a canary say."""
    requirements: Sequence[str] | None
    """Packages that the model needs, a line of pip's each, or none; by default those that
    `requirements.txt` names in the folder that the path is, or that its class lies in; or else what
    its framework needs."""
    pkgs_to_install: Sequence[str]
    """The old client's name for them."""
    output: str
    """Which of the model's outputs or methods answers, as `predict_proba`."""
    batch_size: int
    """A fixed one; -1 lets it be found."""
    batching: Mapping[str, Any] | None
    """How it is found: `controller` (aimd, quantile, fixed), `size`, `wait_ms`."""
    hedging: float
    """Share of queries that may be sent to a second replica when the first is overdue."""
    approximate_cache: Mapping[str, Any] | None
    """Serve an input with the output for one that is near: `metric`, `radius`, ..."""
    gpus: Sequence[str]
    """Sets of GPUs, `0,1` or `all`, that the replicas take in turn."""
    memory_bytes: int
    """Of one replica."""
    cpus: float
    """Docker: cores of one replica."""
    network: str
    """Docker: a network of Docker's that the model may reach; it reaches none otherwise."""
    image: str
    """Docker: an image, instead of the framework's."""
    upload: bool
    """Send the model to the daemon, which cannot see this machine's files."""


OF_DEPLOYMENT = ("manager", "output", "gpus", "memory_bytes", "cpus", "network", "image")
OF_MODEL = ("labels", "batch_size", "batching", "hedging", "approximate_cache", "keep_current")


class DeployCalls:
    """What ClipperConnection offers for deploying; `admin` is the admin listener.

    Each call starts replicas of a version, and makes it the current one as soon as a replica is
    ready; a deploy that fails changes nothing. `input_type` may be `auto`: then the model says what
    it takes, as far as it knows. All take the keywords of `Options`.

    Raises:
        InvalidCall: there is no such model, or it cannot be saved.
        ClipperRefused: code `deploy_failed` says why no replica came up; `already_exists`.
        DeployTimeout: no answer within the time and a margin.
    """

    admin: Listener

    def deploy_model(
        self,
        name: str,
        version: object,
        input_type: str,
        path: str,
        framework: str = "",
        model_data: str = "",
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """A saved model; its framework is found by its looks unless it is given.

        `path` is a file or a folder, or `file.py:ClassName`: a class of your own that loads
        `model_data`.
        """
        image, is_sent = options.get("image", ""), options.get("upload", False)
        check_image(framework, options.get("manager", ""), image)
        found = saved(path, model_data, framework, needs_path=not image, is_sent=is_sent)
        if is_sent:
            found = self._sent(found)
        return self._deploy(name, version, input_type, found, options)

    def deploy_python_closure(
        self,
        name: str,
        version: object,
        input_type: str,
        func: Function,
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """A function from a batch of inputs to their outputs, with all that it refers to.

        The `predict_batch` of an object of your own is one.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "closure.cloudpickle")
            pickle(func, file)
            found = Saved(CLOSURE, send(self.admin, file))
        return self._deploy(name, version, input_type, found, options)

    def deploy_live_model(
        self,
        name: str,
        version: object,
        input_type: str,
        model: Any,
        func: ModelFunction | None = None,
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """A model in memory: an estimator, a booster, a module, a pipeline, an `onnx.ModelProto`.

        With `func`, `func(model, inputs)` predicts, in place of what the framework does.
        """
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "model")
            folder.mkdir()
            found = Saved(save(model, func, folder), send(self.admin, folder))
        return self._deploy(name, version, input_type, found, options)

    def deploy_pytorch_model(
        self,
        name: str,
        version: object,
        input_type: str,
        func: ModelFunction | None,
        pytorch_model: Any,
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """A module; `func(model, inputs)` predicts, or the module itself where it is None."""
        return self.deploy_live_model(name, version, input_type, pytorch_model, func, **options)

    def deploy_keras_model(
        self,
        name: str,
        version: object,
        input_type: str,
        func: ModelFunction | None,
        model: Any,
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """A Keras model; `func(model, inputs)` predicts, or the model itself where it is None."""
        return self.deploy_live_model(name, version, input_type, model, func, **options)

    def _sent(self, found: Saved) -> Saved:
        """The same, on the daemon's machine."""
        path, data = found.path, found.model_data
        sender = send_code if found.class_name else send
        return replace(
            found,
            path=sender(self.admin, Path(path)) if path else "",
            model_data=send(self.admin, Path(data)) if data else "",
        )

    def _deploy(
        self, name: str, version: object, input_type: str, found: Saved, options: Options
    ) -> dict[str, Any]:
        timeout_s = options.get("timeout_s")
        body = _body(found, options)
        body |= {"name": name, "version": str(version)}
        if timeout_s is not None:
            body["timeout_s"] = timeout_s
        if input_type and input_type != AUTO:
            body["input_type"] = input_type
        asked = request("POST", "api", "v1", "models", body=body)
        patience_s = (timeout_s or LONGEST_S) + DEPLOY_MARGIN_S
        try:
            model: dict[str, Any] = self.admin.call(asked, timeout_s=patience_s)
        except ClipperTimeout:
            raise _no_answer(f"{name}:{version}", patience_s) from None
        return model


def _body(found: Saved, options: Options) -> dict[str, Any]:
    """What is said of the model, without what is left to the daemon."""
    given: dict[str, Any] = dict(options)
    deployment = {key: given[key] for key in OF_DEPLOYMENT if given.get(key)}
    deployment |= found.said()
    deployment["replicas"] = given.get("num_replicas", 1)
    requirements = given.get("requirements")
    if requirements is None:
        requirements = given.get("pkgs_to_install")
    if requirements is not None:
        deployment["requirements"] = list(requirements)
    body = {key: given[key] for key in OF_MODEL if given.get(key)}
    return body | {"deployment": deployment}


def _no_answer(model: str, timeout_s: float) -> DeployTimeout:
    return DeployTimeout(
        f"The deployment of {model} was not answered within {timeout_s:g} s.",
        hint="See whether it came up with `clipper-admin model list`, or allow more time.",
    )

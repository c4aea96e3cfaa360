"""Calls about models, their versions and replicas, under the names of the old client."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipper.admin.errors import ClipperRefused, DeployTimeout
from clipper.admin.listener import Listener
from clipper.admin.messages import request

MODELS = ("api", "v1", "models")
POLL_S = 0.2


class ModelCalls:
    """What ClipperConnection offers for models; `admin` is the admin listener.

    Versions may be given as anything whose `str` is the version. Every call raises ClipperRefused
    where the daemon says no, ClipperUnreachable where no answer comes. Information about models
    comes as the dicts of `/api/v1`.
    """

    admin: Listener

    def register_model(
        self,
        name: str,
        version: object,
        input_type: str,
        image: str | None = None,
        labels: Sequence[str] | None = None,
        batch_size: int = -1,
    ) -> dict[str, Any]:
        """Make a model version known without starting anything."""
        body = {
            "name": name,
            "version": str(version),
            "input_type": input_type,
            "labels": list(labels or ()),
            "batch_size": batch_size,
        }
        if image is not None:
            body["container_name"] = image
        model: dict[str, Any] = self.admin.call(request("POST", *MODELS, body=body))
        return model

    def get_all_models(self, verbose: bool = False) -> list[Any]:
        """All model versions as `name:version`; with `verbose`, a dict for each."""
        models = self.admin.call(request("GET", *MODELS))
        return models if verbose else [f"{one['name']}:{one['version']}" for one in models]

    def get_model_versions(self, name: str) -> list[dict[str, Any]]:
        """Every version of a model."""
        versions: list[dict[str, Any]] = self.admin.call(request("GET", *MODELS, name))
        return versions

    def get_model_info(self, name: str, version: object) -> dict[str, Any] | None:
        """A model version with its replicas, or None if there is no such version."""
        try:
            model: dict[str, Any] = self.admin.call(request("GET", *_version(name, version)))
        except ClipperRefused as refusal:
            if refusal.code == "unknown_model":
                return None
            raise
        return model

    def get_current_model_version(self, name: str) -> str:
        """The version that answers for a model.

        Raises:
            ClipperRefused: code `unknown_model`, there is no such model.
        """
        for model in self.get_model_versions(name):
            if model["is_current"]:
                return str(model["version"])
        raise ClipperRefused(
            f"No versions of model {name} are registered.",
            code="unknown_model",
            hint="See what there is with get_all_models().",
        )

    def set_model_version(
        self, name: str, version: object, num_replicas: int | None = None
    ) -> dict[str, Any]:
        """Roll back or forward to a registered version, and scale it where a number is given."""
        asked = request("PUT", *MODELS, name, "current", body={"version": str(version)})
        model: dict[str, Any] = self.admin.call(asked)
        if num_replicas is not None:
            model = self.set_num_replicas(name, num_replicas, version)
        return model

    def get_num_replicas(self, name: str, version: object = None) -> int:
        """How many replicas of a version (by default the current one) are ready to answer."""
        chosen = self.get_current_model_version(name) if version is None else version
        return int(self.admin.call(request("GET", *_version(name, chosen)))["replicas"]["ready"])

    def set_num_replicas(
        self, name: str, num_replicas: int, version: object = None, timeout_s: float = 120.0
    ) -> dict[str, Any]:
        """Scale a version (by default the current one) and wait until so many are ready.

        A `timeout_s` of 0 does not wait: replicas start and stop in the background.

        Raises:
            DeployTimeout: they were not all ready in time; the daemon goes on trying.
        """
        chosen = self.get_current_model_version(name) if version is None else version
        asked = request("PUT", *_version(name, chosen), "replicas", body={"replicas": num_replicas})
        model: dict[str, Any] = self.admin.call(asked)
        deadline = time.monotonic() + timeout_s
        while timeout_s > 0 and model["replicas"]["ready"] != num_replicas:
            if time.monotonic() >= deadline:
                raise _not_ready(model, timeout_s)
            time.sleep(POLL_S)
            model = self.admin.call(request("GET", *_version(name, chosen)))
        return model

    def get_all_model_replicas(self, verbose: bool = False) -> list[Any]:
        """All replicas as `name:version:index`; with `verbose`, a dict for each."""
        replicas = []
        for listed in self.get_all_models(verbose=True):
            model = self.get_model_info(listed["name"], listed["version"])
            if model is not None:  # deleted since it was listed
                replicas += [_replica(model, state) for state in model["replica_states"]]
        if verbose:
            return replicas
        return [f"{one['model_id']}:{one['model_replica_id']}" for one in replicas]

    def get_model_replica_info(
        self, name: str, version: object, replica_id: int
    ) -> dict[str, Any] | None:
        """One replica, or None if there is no such replica."""
        model = self.get_model_info(name, version)
        if model is None:
            return None
        found = (state for state in model["replica_states"] if state["index"] == replica_id)
        return next((_replica(model, state) for state in found), None)

    def get_model_logs(
        self, name: str, version: object, tail: int = 100, replica: int = 0
    ) -> list[str]:
        """The last lines that a replica wrote, also after it ended."""
        asked = request("GET", *_version(name, version), "logs", tail=tail, replica=replica)
        return list(self.admin.call(asked)["lines"])

    def get_clipper_logs(self, logging_dir: str = "clipper_logs/", tail: int = 1000) -> list[str]:
        """Save the logs of all replicas, a file for each; returns the files' paths."""
        folder = Path(logging_dir)
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for one in self.get_all_model_replicas(verbose=True):
            name, version, index = one["model_name"], one["model_version"], one["model_replica_id"]
            file = folder / f"{name}_{version}_{index}.log"
            lines = self.get_model_logs(name, version, tail=tail, replica=index)
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            files.append(str(file))
        return files

    def stop_models(self, model_names: Iterable[str]) -> None:
        """Delete all versions of models, and end their replicas."""
        wanted = set(model_names)
        self._delete(one for one in self.get_all_models(verbose=True) if one["name"] in wanted)

    def stop_versioned_models(self, model_versions_dict: Mapping[str, Iterable[object]]) -> None:
        """Delete the versions named for each model, and end their replicas."""
        for name, versions in model_versions_dict.items():
            self._delete({"name": name, "version": version} for version in versions)

    def stop_inactive_model_versions(self, model_names: Iterable[str]) -> None:
        """Delete every version of these models that is not current."""
        wanted = set(model_names)
        models = self.get_all_models(verbose=True)
        self._delete(one for one in models if one["name"] in wanted and not one["is_current"])

    def stop_all_model_containers(self) -> None:
        """Delete all models, and end their replicas."""
        self._delete(self.get_all_models(verbose=True))

    def _delete(self, models: Iterable[Mapping[str, Any]]) -> None:
        for one in models:
            self.admin.call(request("DELETE", *_version(one["name"], one["version"])))


def _version(name: str, version: object) -> tuple[str, ...]:
    return (*MODELS, name, "versions", str(version))


def _replica(model: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """A replica under the old client's keys, with what else is known of it."""
    return {
        "model_id": f"{model['name']}:{model['version']}",
        "model_name": model["name"],
        "model_version": model["version"],
        "model_replica_id": state["index"],
        "input_type": model["input_type"],
        **state,
    }


def _not_ready(model: Mapping[str, Any], timeout_s: float) -> DeployTimeout:
    ready, wanted = model["replicas"]["ready"], model["replicas"]["wanted"]
    last = [state["last_exit"] for state in model.get("replica_states", ()) if state["last_exit"]]
    cause = f" Last exit: {last[-1]}." if last else ""
    return DeployTimeout(
        f"{ready} of {wanted} replicas of {model['name']}:{model['version']} are ready after "
        f"{timeout_s:g} s.{cause}",
        hint=f"Read `clipper-admin model logs {model['name']} {model['version']}`; "
        "the daemon goes on trying.",
    )

"""What a query needs to know, prepared: built when the configuration changes, then only read."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clipper.abstraction.layer import ModelAbstractionLayer, ServedModel
from clipper.abstraction.usual import UsualOutput
from clipper.core.config import Config
from clipper.core.errors import InvalidInput
from clipper.core.metrics import ApplicationStats, Metrics
from clipper.core.outputs import parse_text
from clipper.core.types import Application, ModelId, Output
from clipper.selection.policies import make_policy
from clipper.selection.policy import SelectionPolicy
from clipper.selection.single import Single
from clipper.serving.expiry import Expiry
from clipper.serving.journal import Record
from clipper.serving.traffic import TrafficLog

log = logging.getLogger(__name__)

SHARED = "0"
"""The context under which a state is kept that all contexts share."""


@dataclass(frozen=True, slots=True)
class Route:
    """One application, ready to be asked."""

    app: Application
    key: str
    """The application's, under which is kept what it has learned."""
    input_type: str
    """The application's, as a plain string: hashing an Enum takes longer than a whole look-up."""
    slo_s: float
    default: Output
    policy: SelectionPolicy
    models: Mapping[ModelId, ServedModel]
    """Current versions of the linked models."""
    all: tuple[ModelId, ...]
    """The same, by name."""
    names: Mapping[ModelId, str]
    """What they are called where they are counted."""
    sole: ServedModel | None
    """The one model that there is to ask, where the policy has nothing to choose."""
    versions: Mapping[str, Mapping[str, ServedModel]]
    """Every version of each linked model, for queries that ask for one."""
    stats: ApplicationStats
    trouble: str
    """Why the policy does not do what it is for; empty where it does."""
    record: Record
    """The journal's note of a query that nothing can be learned from."""
    expiry: Expiry[Any]
    traffic: TrafficLog | None
    """What becomes of queries, where the policy watches it."""

    def scope(self, context: str) -> str:
        """The context whose selection state applies."""
        return SHARED if self.policy.is_shared else context

    def requested(self, version: str) -> ServedModel | None:
        """The version that a query asks for, or None where no model is linked.

        Raises:
            InvalidInput: no linked model has it.
        """
        for versions in self.versions.values():
            if version in versions:
                return versions[version]
        for name in self.versions:
            raise InvalidInput(f"Requested version: {version} does not exist for model: {name}")
        return None


Snapshot = Mapping[str, Route]


def build_snapshot(
    config: Config,
    layer: ModelAbstractionLayer,
    metrics: Metrics,
    expire: Callable[[Any], None],
) -> Snapshot:
    """A route for each application; models must be in the layer already."""
    return {
        app.name: _build_route(app, config, layer, metrics, expire)
        for app in config.applications.values()
    }


def _build_route(
    app: Application,
    config: Config,
    layer: ModelAbstractionLayer,
    metrics: Metrics,
    expire: Callable[[Any], None],
) -> Route:
    policy, trouble = _policy(app)
    if trouble:
        app = replace(app, models=())
    current = [ModelId(name, config.current[name]) for name in app.models if name in config.current]
    for candidate in policy.candidates:
        name, _, version = candidate.partition(":")
        if name in app.models and (model := ModelId(name, version)) in layer.models:
            current.append(model)
        else:
            trouble = trouble or f"{candidate}, which it asks, is not deployed and linked"
    models = {model: layer.models[model] for model in current}
    if policy.averages:
        for served in models.values():
            served.usual = served.usual or UsualOutput()
    versions: dict[str, dict[str, ServedModel]] = {name: {} for name in app.models}
    for model in config.models:
        if model.name in versions:
            versions[model.name][model.version] = layer.models[model]
    stats = metrics.application(app.name)
    stats.policy = app.policy if policy.links_many else ""
    sole = None
    if current and not policy.links_many:
        sole = models[current[0]]
    return Route(
        app=app,
        key=app.key,
        input_type=app.input_type.value,
        slo_s=app.slo_s,
        default=parse_text(app.default_output.encode()),
        policy=policy,
        models=models,
        all=tuple(models),
        trouble=trouble,
        sole=sole,
        versions=versions,
        stats=stats,
        names={model: str(model) for model in models},
        record=Record(app.name, app.registered),
        expiry=Expiry(expire),
        traffic=TrafficLog(app.slo_s) if policy.watches else None,
    )


def _policy(app: Application) -> tuple[SelectionPolicy, str]:
    """The application's, and nothing; or one that asks nobody, and why.

    What was checked when the application was created may be gone at the next start.
    """
    try:
        return make_policy(app.policy, app.policy_params, app.loss), ""
    except InvalidInput as error:
        log.error(
            "The policy of application '%s' cannot be used: %s %s",
            app.name,
            error.message,
            error.hint,
            extra={"action": "policy_unusable"},
        )
        return Single(), f"The selection policy cannot be used: {error.message} {error.hint}"


def strictest_slos(config: Config) -> dict[ModelId, float]:
    """For each model version, the smallest SLO among the applications that link its model."""
    slos: dict[str, float] = {}
    for app in config.applications.values():
        for name in app.models:
            slos[name] = min(app.slo_s, slos.get(name, app.slo_s))
    return {model: slos[model.name] for model in config.models if model.name in slos}

"""What the catalogue accepts: names, ranges, and what fits together.

Each function raises where something is not accepted, with the old release's text where it had one.
"""

from collections.abc import Sequence

import numpy as np

from clipper.abstraction.approximation import Approximation
from clipper.core.config import Config
from clipper.core.errors import (
    AlreadyExists,
    Incompatible,
    InvalidInput,
    UnknownApplication,
    UnknownModel,
)
from clipper.core.metrics import ModelStats
from clipper.core.types import DEFAULT_BATCH_SIZE, NAME, Application, Model, ModelId
from clipper.selection.losses import LOSSES
from clipper.selection.policies import make_policy

ON_OVERLOAD = ("default", "reject")
MAX_REPLICAS = 1000
MAX_WAIT_MS = 10_000
MAX_HEDGING = 0.05
"""Of the queries: what is sent twice is work that others wait for."""


def find_application(config: Config, name: str, missing: str) -> Application:
    """An application.

    Raises:
        UnknownApplication: with the text `missing`.
    """
    if name not in config.applications:
        raise UnknownApplication(missing, hint="`clipper-admin app list` shows what there is.")
    return config.applications[name]


def check_name(what: str, name: str) -> None:
    """Names are used in paths, URLs and labels.

    Raises:
        InvalidInput: not a name.
    """
    if not NAME.match(name):
        raise InvalidInput(
            f"Invalid {what} supplied: '{name[:150]}'.",
            hint="Use letters, digits, '.', '_' and '-', at most 128, the first a letter or digit.",
        )


def check_application(app: Application) -> None:
    """Whether an application can be registered at all.

    Raises:
        InvalidInput: a field is out of range, or names what there is not.
    """
    check_name("application name", app.name)
    if app.latency_slo_micros <= 0:
        raise InvalidInput(
            f"latency_slo_micros is {app.latency_slo_micros}; it must be above 0.",
            hint="100000 is a tenth of a second.",
        )
    if app.loss not in LOSSES:
        raise InvalidInput(
            f"There is no loss '{app.loss}'.", hint=f"Choose one of: {', '.join(LOSSES)}."
        )
    if not 0 <= app.confidence_threshold <= 1:
        raise InvalidInput(
            f"confidence_threshold is {app.confidence_threshold:g}; it must be from 0 to 1.",
            hint="0 takes every answer; 0.7 asks for seven tenths of the models' weight.",
        )
    if app.on_overload not in ON_OVERLOAD:
        raise InvalidInput(
            f"on_overload is '{app.on_overload}'.", hint=f"Choose one of: {', '.join(ON_OVERLOAD)}."
        )
    make_policy(app.policy, app.policy_params, app.loss)


def check_model(model: Model) -> None:
    """Whether a version can be registered at all.

    Raises:
        InvalidInput: a field is out of range.
    """
    check_name("model name", model.id.name)
    check_name("model version", model.id.version)
    if model.batch_size <= 0 and model.batch_size != DEFAULT_BATCH_SIZE:
        raise InvalidInput(
            "The batch size must be positive or DEFAULT_BATCH_SIZE, which is -1",
            hint="-1 adapts it to the latency objective.",
        )
    if model.approximate_cache is not None:
        Approximation(model, ModelStats(), np.random.default_rng())
    if model.deployment is not None and not 1 <= model.deployment.replicas <= MAX_REPLICAS:
        raise InvalidInput(
            f"{model.deployment.replicas} is not a number of replicas", hint=f"1 to {MAX_REPLICAS}."
        )


def check_linked_apps(config: Config, model: Model) -> None:
    """Whether a version takes what the applications that link its model send.

    Raises:
        Incompatible: it does not.
    """
    for app in config.applications.values():
        if model.id.name in app.models and app.input_type is not model.input_type:
            raise Incompatible(
                f"Model with name '{model.id.name}' is linked to application '{app.name}' "
                f"and has incompatible input_type '{model.input_type}'. "
                f"The application has input_type '{app.input_type}'."
            )


def check_links(config: Config, app: Application, names: Sequence[str]) -> None:
    """Whether models can be linked to an application; in the old release's order.

    Raises:
        UnknownModel, Incompatible, InvalidInput, AlreadyExists.
    """
    for name in names:
        if name not in config.current:
            raise UnknownModel(
                f"No model with name '{name}' exists.", hint="Register or deploy it first."
            )
        input_type = config.models[ModelId(name, config.current[name])].input_type
        if input_type is not app.input_type:
            raise Incompatible(
                f"Model with name '{name}' has incompatible input_type '{input_type}'. "
                f"Application '{app.name}' has input_type '{app.input_type}'.",
                hint=f"Deploy it with --input-type {app.input_type}, "
                f"or create the application with {input_type}.",
            )
    if not names:
        raise InvalidInput(
            "Please provide the name of the model that you want to link "
            f"to the application '{app.name}'"
        )
    if not make_policy(app.policy, app.policy_params, app.loss).links_many:
        _check_single_link(app, names)
    for name in names:
        if name in app.models or names.count(name) > 1:
            raise AlreadyExists(f"The model with name '{name}' is already linked to '{app.name}'")


def check_policy_fits(app: Application) -> None:
    """Whether an application's policy can do with the models that are linked.

    Raises:
        Incompatible: it asks one model, and more are linked.
    """
    if not make_policy(app.policy, app.policy_params, app.loss).links_many and len(app.models) > 1:
        raise Incompatible(
            f"The policy {app.policy} asks one model, and {len(app.models)} are linked to "
            f"'{app.name}'.",
            hint="Unlink the others first, or choose a policy for several, as exp3.",
        )


def _check_single_link(app: Application, names: Sequence[str]) -> None:
    hint = "Unlink the other one, or create the application with a policy for several, as exp3."
    if len(names) > 1:
        raise Incompatible(
            "Applications must be linked with at most one model. "
            f"{len(names)} were named for the application '{app.name}'.",
            hint=hint,
        )
    for linked in app.models:
        if linked != names[0]:
            raise AlreadyExists(
                f"A model with name {linked} is already linked to '{app.name}'.", hint=hint
            )

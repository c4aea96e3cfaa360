"""The old release's admin routes, `/admin/*`, on today's catalogue.

Its clients depend on the exact texts, on 200 for every success and 400 for every refusal, and on
`Content-Type: application/json`, which every answer carries, plain text too. An unknown thing is
`{}` to a get and a refusal to everything else.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from clipper.core.errors import ClipperError, RequestError, UnknownApplication
from clipper.core.types import Application, InputType, Model, ModelId, ReplicaId
from clipper.frontend import keys
from clipper.frontend.body import Fields
from clipper.frontend.failures import retry_headers, status_of
from clipper.serving.services import Services

Handler = Callable[[Services, Fields], Awaitable[Any]]
"""Returns the text of the answer, or a JSON value."""


async def add_app(services: Services, fields: Fields) -> str:
    """Create an application."""
    application = _application(fields)
    await services.catalogue.add_application(application)
    return f"Successfully added application with name '{application.name}'"


def _application(fields: Fields) -> Application:
    name = fields.text("name")
    input_type = InputType.parse(fields.text("input_type"))
    default_output = fields.text("default_output")
    latency_slo_micros = fields.int32("latency_slo_micros")
    policy = keys.policy_of(fields.optional("selection_policy"))
    return Application(
        name,
        input_type,
        default_output,
        latency_slo_micros,
        policy=policy.name,
        policy_params=policy.params,
        loss=keys.loss_of(fields.optional("loss")),
        labels=keys.labels_of(fields.optional("labels")),
        on_overload=keys.on_overload_of(fields.optional("on_overload")),
        confidence_threshold=keys.confidence_threshold_of(fields.optional("confidence_threshold")),
    )


async def delete_app(services: Services, fields: Fields) -> str:
    """Delete an application and its links."""
    name = fields.text("name")
    await services.catalogue.delete_application(name)
    return f"Successfully deleted application with name '{name}'"


async def add_model(services: Services, fields: Fields) -> str:
    """Register a model version; its containers are somebody else's."""
    model = _model(fields)
    await services.catalogue.add_model(model)
    return (
        f"Successfully added model with name '{model.id.name}' and input type '{model.input_type}'"
    )


def _model(fields: Fields) -> Model:
    model = _model_id(fields)
    labels = fields.texts("labels")
    input_type = InputType.parse(fields.text("input_type"))
    container_name = fields.text("container_name")
    model_data_path = fields.text("model_data_path")
    batching = keys.batching_of(fields.int32("batch_size"), fields.optional("batching"))
    hedging = keys.hedging_of(fields.optional("hedging"))
    approximate_cache = keys.approximate_cache_of(fields.optional("approximate_cache"))
    keys.check_no_separators("model name", model.name)
    keys.check_no_separators("model version", model.version)
    for label in labels:
        keys.check_no_separators("label", label)
    return Model(
        model,
        input_type,
        tuple(labels),
        container_name,
        model_data_path,
        batch_size=batching.size,
        controller=batching.controller,
        batch_wait_ms=batching.wait_ms,
        hedging=hedging,
        approximate_cache=approximate_cache,
    )


async def set_model_version(services: Services, fields: Fields) -> str:
    """Roll a model back or forward."""
    model = _model_id(fields)
    await services.catalogue.set_current(model)
    return f"Successfully set model with name '{model.name}' to version '{model.version}'"


async def delete_versioned_model(services: Services, fields: Fields) -> str:
    """Delete a model version and end its replicas."""
    model = _model_id(fields)
    await services.catalogue.delete_model(model)
    return f"Successfully deleted model with name '{model.name}' and version '{model.version}'"


async def add_model_links(services: Services, fields: Fields) -> str:
    """Let models answer for an application."""
    name, models = fields.text("app_name"), fields.texts("model_names")
    await services.catalogue.link(name, models)
    linked = "', '".join(models)
    return f"Successfully linked model with name '{linked}' to application '{name}'"


async def delete_model_links(services: Services, fields: Fields) -> str:
    """End links."""
    await services.catalogue.unlink(fields.text("app_name"), fields.texts("model_names"))
    return "Success!"


async def get_linked_models(services: Services, fields: Fields) -> list[str]:
    """The names of an application's models."""
    return list(_known_application(services, fields.text("app_name")).models)


async def get_all_applications(services: Services, fields: Fields) -> list[Any]:
    """All applications: their names, or everything about them."""
    is_verbose = fields.flag("verbose")
    applications = services.catalogue.config.applications
    if not is_verbose:
        return sorted(applications)
    return [_application_object(applications[name]) for name in sorted(applications)]


async def get_application(services: Services, fields: Fields) -> dict[str, Any]:
    """Everything about an application, or `{}`."""
    application = services.catalogue.config.applications.get(fields.text("name"))
    return {} if application is None else _application_object(application)


async def get_all_models(services: Services, fields: Fields) -> list[Any]:
    """All model versions: `name:version`, or everything about them."""
    is_verbose = fields.flag("verbose")
    models = _models(services)
    if not is_verbose:
        return [str(model.id) for model in models]
    return [_model_object(services, model) for model in models]


async def get_model(services: Services, fields: Fields) -> dict[str, Any]:
    """Everything about a model version, or `{}`."""
    model = services.catalogue.config.models.get(_model_id(fields))
    return {} if model is None else _model_object(services, model)


async def get_all_containers(services: Services, fields: Fields) -> list[Any]:
    """All replicas that can answer: `name:version:index`, or everything about them."""
    is_verbose = fields.flag("verbose")
    containers = list(_containers(services, _models(services)))
    if not is_verbose:
        return [f"{replica.model}:{replica.index}" for replica, _ in containers]
    return [_container_object(replica, model) for replica, model in containers]


async def get_container(services: Services, fields: Fields) -> dict[str, Any]:
    """Everything about a replica, or `{}`."""
    wanted = ReplicaId(_model_id(fields), fields.int32("replica_id"))
    model = services.catalogue.config.models.get(wanted.model)
    found = () if model is None else _containers(services, [model])
    return next((_container_object(*one) for one in found if one[0] == wanted), {})


async def get_state(services: Services, fields: Fields) -> str:
    """What was learned from a user's feedback; where nothing is learned, the default output."""
    name, uid = fields.text("app_name"), fields.int32("uid")
    application = _known_application(services, name)
    state = await services.feedback.state(name, str(uid))
    return application.default_output if state is None else msgspec.json.encode(state).decode()


ROUTES: Mapping[str, Handler] = {
    handler.__name__: handler
    for handler in (
        add_app,
        delete_app,
        add_model,
        set_model_version,
        delete_versioned_model,
        add_model_links,
        delete_model_links,
        get_linked_models,
        get_all_applications,
        get_application,
        get_all_models,
        get_model,
        get_all_containers,
        get_container,
        get_state,
    )
}


def build_legacy(services: Services) -> APIRouter:
    """The routes of the table, and `GET /admin/ping`."""
    router = APIRouter(prefix="/admin", include_in_schema=False)

    @router.get("/ping")
    async def ping() -> Response:
        return _answer("PONG")

    for name, handler in ROUTES.items():
        router.add_api_route(f"/{name}", _endpoint(services, handler), methods=["POST"])
    return router


def _endpoint(services: Services, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            fields = Fields.parse(await request.body())
            return _answer(await handler(services, fields))
        except ClipperError as error:
            # Their clients know 400 and nothing else; only what is our own fault is not a 400.
            status = 400 if isinstance(error, RequestError) else status_of(error)
            return _answer(error.message, status)

    return endpoint


def _answer(content: Any, status: int = 200) -> Response:
    body = content.encode() if isinstance(content, str) else msgspec.json.encode(content)
    return Response(body, status, headers=retry_headers(status), media_type="application/json")


def _model_id(fields: Fields) -> ModelId:
    return ModelId(fields.text("model_name"), fields.text("model_version"))


def _known_application(services: Services, name: str) -> Application:
    try:
        return services.catalogue.config.applications[name]
    except KeyError:
        raise UnknownApplication(f"No application with name '{name}' exists.") from None


def _models(services: Services) -> list[Model]:
    models = services.catalogue.config.models.values()
    return sorted(models, key=lambda model: (model.id.name, model.registered))


def _containers(services: Services, models: list[Model]) -> Iterator[tuple[ReplicaId, Model]]:
    for model in models:
        for status in services.fleet.status(model.id):
            if status.state == "ready":  # the old release listed a container once it had connected
                yield status.replica, model


def _application_object(application: Application) -> dict[str, Any]:
    return {
        "name": application.name,
        "input_type": application.input_type,
        "default_output": application.default_output,
        "latency_slo_micros": application.latency_slo_micros,
        "linked_models": application.models,
    }


def _model_object(services: Services, model: Model) -> dict[str, Any]:
    current = services.catalogue.config.current.get(model.id.name)
    return {
        "model_name": model.id.name,
        "model_version": model.id.version,
        "input_type": model.input_type,
        "labels": model.labels,
        "container_name": model.container_name,
        "model_data_path": model.model_data_path,
        "is_current_version": current == model.id.version,
    }


def _container_object(replica: ReplicaId, model: Model) -> dict[str, Any]:
    return {
        "model_id": str(model.id),
        "model_name": model.id.name,
        "model_version": model.id.version,
        "model_replica_id": replica.index,
        "input_type": model.input_type,
    }

"""`/api/v1`: applications, models, versions, replicas and links as resources."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query

from clipper import __version__
from clipper.core.errors import UnknownApplication, UnknownModel
from clipper.core.types import DEFAULT_CONTEXT, Application, Description, Model, ModelId, ReplicaId
from clipper.frontend.answers import (
    ApplicationAnswer,
    ApproximateCacheState,
    ComparisonAnswer,
    DeploymentProgress,
    DescriptionAnswer,
    ErrorAnswer,
    LogAnswer,
    ModelAnswer,
    ModelDetails,
    ReplicaState,
    ReplicaTotals,
    SelectionAnswer,
    StandingAnswer,
    StatusAnswer,
    StoreStatus,
    WorkerTotals,
)
from clipper.frontend.json_route import JsonRoute
from clipper.frontend.schemas import (
    ApplicationRequest,
    CurrentRequest,
    ModelRequest,
    PolicyChange,
    ReplicasRequest,
)
from clipper.serving.services import Services

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": description}
    for status, description in {
        400: "The body is no JSON object, or a value in it cannot be.",
        404: "There is no such thing.",
        409: "It exists already, or does not fit.",
        422: "The request does not have the form that the schema asks for.",
        502: "The model could not be brought up; the message says why.",
        503: "The store cannot be used.",
    }.items()
}

Context = Annotated[str, Query(description="whose state; that of feedback without a context")]
Tail = Annotated[int, Query(ge=1, le=10_000, description="how many lines")]
ReplicaIndex = Annotated[int, Query(ge=0)]


def build_api(services: Services) -> APIRouter:
    """All of `/api/v1`."""
    router = APIRouter(prefix="/api/v1", route_class=JsonRoute, responses=ERRORS)
    _add_status(router, services)
    _add_applications(router, services)
    _add_links(router, services)
    _add_models(router, services)
    _add_replicas(router, services)
    return router


def _add_status(router: APIRouter, services: Services) -> None:
    @router.get("/status", tags=["status"])
    async def status() -> StatusAnswer:
        """How the daemon is."""
        config, reasons = services.catalogue.config, list(services.ready())
        return StatusAnswer(
            version=__version__,
            uptime_s=services.status.uptime_s,
            store=StoreStatus(url=services.status.store_url, state=services.status.store_state),
            ready=not reasons,
            not_ready=reasons,
            troubles=services.troubles(),
            applications=len(config.applications),
            models=len(config.models),
            replicas=ReplicaTotals(**services.fleet.counts()),
            workers=WorkerTotals(
                wanted=services.workforce.size, serving=services.workforce.serving
            ),
        )

    @router.get("/deployments", tags=["models"])
    async def deployments() -> list[DeploymentProgress]:
        """Deployments on their way."""
        in_progress = sorted(services.deployer.in_progress.items())
        return [
            DeploymentProgress.of(model, progress, await services.fleet.last_line(model))
            for model, progress in in_progress
        ]


def _add_applications(router: APIRouter, services: Services) -> None:
    catalogue = services.catalogue

    @router.get("/applications", tags=["applications"])
    async def list_applications() -> list[ApplicationAnswer]:
        """All applications."""
        applications = catalogue.config.applications
        return [ApplicationAnswer.of(applications[name]) for name in sorted(applications)]

    @router.post("/applications", tags=["applications"], status_code=201)
    async def create_application(asked: ApplicationRequest) -> ApplicationAnswer:
        """Create an application; it can be queried from now on."""
        application = asked.application()
        await catalogue.add_application(application)
        return ApplicationAnswer.of(application)

    @router.get("/applications/{name}", tags=["applications"])
    async def show_application(name: str) -> ApplicationAnswer:
        """One application."""
        return ApplicationAnswer.of(_application(services, name))

    @router.patch("/applications/{name}", tags=["applications"])
    async def change_application(name: str, asked: PolicyChange) -> ApplicationAnswer:
        """Give an application another selection policy."""
        policy = asked.policy()
        await catalogue.set_policy(name, policy.name, policy.params)
        return ApplicationAnswer.of(_application(services, name))

    @router.delete("/applications/{name}", tags=["applications"], status_code=204)
    async def delete_application(name: str) -> None:
        """Delete an application with its links and what its policy has learned."""
        await catalogue.delete_application(name)

    @router.get("/applications/{name}/selection", tags=["applications"])
    async def show_selection(name: str, context: Context = DEFAULT_CONTEXT) -> SelectionAnswer:
        """What an application's policy has learned for a context."""
        policy = _application(services, name).policy
        state, models, comparisons = await services.feedback.report(name, context)
        counted = (await services.figures()).metrics.application(name).credits
        return SelectionAnswer(
            application=name,
            context=context,
            policy=policy,
            models=[StandingAnswer.of(one, counted.get(str(one.model), 0)) for one in models],
            comparisons=[ComparisonAnswer.of(one) for one in comparisons],
            verdict=getattr(state, "verdict", ""),
            reason=getattr(state, "reason", ""),
            state=msgspec.to_builtins(state),
        )


def _add_links(router: APIRouter, services: Services) -> None:
    path = "/applications/{name}/links/{model}"

    @router.put(path, tags=["applications"], status_code=204)
    async def link(name: str, model: str) -> None:
        """Let a model answer for an application, always by its current version."""
        await services.catalogue.link(name, [model])

    @router.delete(path, tags=["applications"], status_code=204)
    async def unlink(name: str, model: str) -> None:
        """End a link."""
        await services.catalogue.unlink(name, [model])


def _add_models(router: APIRouter, services: Services) -> None:
    catalogue = services.catalogue

    @router.get("/models", tags=["models"])
    async def list_models() -> list[ModelAnswer]:
        """All versions of all models."""
        return [_summary(services, model) for model in _sorted(catalogue.config.models.values())]

    @router.post("/models", tags=["models"], status_code=201)
    async def create_model(asked: ModelRequest) -> ModelAnswer:
        """Register a model version and, with a deployment, wait until a replica is ready."""
        model = asked.model()
        if model.deployment is None:
            await catalogue.add_model(model, keeps_current=asked.keep_current)
        else:
            await services.deployer.deploy(
                model,
                asked.timeout_s,
                keeps_current=asked.keep_current,
                unsaid=asked.unsaid(),
            )
        return _summary(services, catalogue.model(model.id))

    @router.get("/models/{name}", tags=["models"])
    async def list_versions(name: str) -> list[ModelAnswer]:
        """All versions of a model."""
        models = catalogue.config.versions(name)
        if not models:
            raise UnknownModel(f"No model with name '{name}' exists.", hint=MODELS_HINT)
        return [_summary(services, model) for model in models]

    @router.get("/models/{name}/versions/{version}", tags=["models"])
    async def show_model(name: str, version: str) -> ModelDetails:
        """One version of a model, with its replicas."""
        return await _details(services, ModelId(name, version))

    @router.delete("/models/{name}/versions/{version}", tags=["models"], status_code=204)
    async def delete_model(name: str, version: str) -> None:
        """Delete a version with its replicas and cached outputs."""
        await catalogue.delete_model(ModelId(name, version))

    @router.put("/models/{name}/current", tags=["models"])
    async def set_current(name: str, asked: CurrentRequest) -> ModelAnswer:
        """Roll a model back or forward."""
        model = ModelId(name, asked.version)
        await catalogue.set_current(model)
        return _summary(services, catalogue.model(model))


def _add_replicas(router: APIRouter, services: Services) -> None:
    path = "/models/{name}/versions/{version}"

    @router.put(f"{path}/replicas", tags=["models"])
    async def scale(name: str, version: str, asked: ReplicasRequest) -> ModelDetails:
        """Set how many replicas there shall be; they start and stop in the background."""
        model = ModelId(name, version)
        await services.catalogue.scale(model, asked.replicas)
        return await _details(services, model)

    @router.get(f"{path}/logs", tags=["models"])
    async def logs(
        name: str, version: str, tail: Tail = 100, replica: ReplicaIndex = 0
    ) -> LogAnswer:
        """The last lines that a replica wrote, also after it ended or failed to come up."""
        wanted = ReplicaId(ModelId(name, version), replica)
        return LogAnswer(lines=list(await services.logs(wanted, tail)))


MODELS_HINT = "GET /api/v1/models lists what there is."


def _application(services: Services, name: str) -> Application:
    application = services.catalogue.config.applications.get(name)
    if application is None:
        raise UnknownApplication(
            f"No application with name '{name}' exists.",
            hint="GET /api/v1/applications lists what there is.",
        )
    return application


def _sorted(models: Iterable[Model]) -> list[Model]:
    return sorted(models, key=lambda model: (model.id.name, model.registered))


def _summary(services: Services, model: Model) -> ModelAnswer:
    is_current = services.catalogue.config.current.get(model.id.name) == model.id.version
    ready = sum(status.state == "ready" for status in services.fleet.status(model.id))
    return ModelAnswer.of(model, is_current=is_current, ready=ready)


async def _details(services: Services, model: ModelId) -> ModelDetails:
    figures = await services.figures()
    summary = _summary(services, services.catalogue.model(model))
    statuses = services.fleet.status(model)
    said = [one.description for one in statuses if one.description != Description()]
    stats, approximation = figures.metrics.model(model), figures.approximations.get(model)
    near = approximation and ApproximateCacheState.of(approximation, stats.approximate_hits)
    return ModelDetails(
        **dict(summary),
        batches_ended_by=stats.endings,
        approximate_cache_state=near,
        description=DescriptionAnswer.model_validate(said[0]) if said else None,
        replica_states=[ReplicaState.of(status) for status in statuses],
    )

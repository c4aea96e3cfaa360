"""The admin listener: the old routes, `/api/v1`, health, metrics and documentation, guarded."""

from collections.abc import Callable

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from clipper import __version__
from clipper.core.settings import Settings, is_loopback
from clipper.frontend.api import build_api
from clipper.frontend.failures import add_failures
from clipper.frontend.guards import HostGuard, LastResort, OriginGuard, PeerGuard, TokenGuard
from clipper.frontend.health import build_health
from clipper.frontend.legacy import build_legacy
from clipper.frontend.packages import build_packages
from clipper.frontend.scrape import scrape
from clipper.serving.services import Services


def nobody(address: str) -> bool:
    """Where no model has an address of its own."""
    return False


def build_admin_app(
    services: Services, settings: Settings, is_model: Callable[[str], bool] = nobody
) -> FastAPI:
    """Everything that the admin listener serves; `is_model` knows the models' addresses."""
    app = FastAPI(
        title="Clipper",
        summary="Administration of a prediction-serving daemon",
        version=__version__,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(build_api(services))
    if services.packages is not None:
        app.include_router(build_packages(services.packages))
    app.include_router(build_legacy(services))
    app.include_router(build_health(services.readiness))
    _add_metrics(app, services)
    add_failures(app)
    # The last one added is the first that a request meets.
    if settings.admin_token:
        app.add_middleware(TokenGuard, token=settings.admin_token)
    app.add_middleware(OriginGuard)
    if is_loopback(settings.host):
        app.add_middleware(HostGuard, host=settings.host)
    else:
        app.add_middleware(PeerGuard, is_model=is_model)
    app.add_middleware(LastResort)
    return app


def _add_metrics(app: FastAPI, services: Services) -> None:
    @app.get("/metrics", tags=["status"], response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """All metrics, as Prometheus reads them; as OpenMetrics where `Accept` names it."""
        figures = await services.figures()
        return scrape(figures.metrics.registry, request)

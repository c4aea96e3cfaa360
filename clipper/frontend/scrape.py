"""Metrics for Prometheus, the same on both listeners."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

OPENMETRICS = "application/openmetrics-text"


def wants_prometheus(request: Request) -> bool:
    """Whether a client asks for a text format, as Prometheus does."""
    accept = request.headers.get("accept", "")
    return "text/plain" in accept or OPENMETRICS in accept


def scrape(registry: CollectorRegistry, request: Request) -> Response:
    """All metrics as Prometheus text; as OpenMetrics where `Accept` names it."""
    is_open = OPENMETRICS in request.headers.get("accept", "")
    # Not the client's own words: the encoder would believe any version that they name.
    encode, content_type = choose_encoder(OPENMETRICS if is_open else "")
    return Response(encode(registry), headers={"Content-Type": content_type})

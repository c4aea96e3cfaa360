"""The daemon's two listeners, made from its settings."""

import socket
from collections.abc import Callable, Sequence

from clipper.core.settings import Settings
from clipper.frontend.admin_app import build_admin_app, nobody
from clipper.frontend.door import Door
from clipper.frontend.listener import Listener
from clipper.frontend.query_app import Answering, build_query_app
from clipper.serving.services import Services


def query_listener(
    services: Answering, settings: Settings, sockets: Sequence[socket.socket] = ()
) -> Listener:
    """What applications call; on sockets that are bound already where there are some."""
    door = Door(
        settings.max_body_bytes,
        settings.read_timeout_s,
        services.predictor,
        settings.query_token.encode(),
    )
    app = build_query_app(services, settings.query_token)
    return Listener(app, settings.host, settings.query_port, door, sockets)


def admin_listener(
    services: Services, settings: Settings, is_model: Callable[[str], bool] = nobody
) -> Listener:
    """What administrators call, and the models, whose addresses `is_model` knows, do not."""
    door = Door(settings.max_body_bytes, settings.read_timeout_s)
    app = build_admin_app(services, settings, is_model)
    return Listener(app, settings.host, settings.admin_port, door)

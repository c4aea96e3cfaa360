"""What clients take from the environment: where the daemon is, and its tokens.

Not with the daemon's settings, which take long to import and of which a client has none.
"""

import os
from collections.abc import Mapping

VARIABLES: Mapping[str, tuple[str, ...]] = {
    "url": ("CLIPPER_URL",),
    "query_url": ("CLIPPER_QUERY_URL",),
    "token": ("CLIPPER_TOKEN", "CLIPPER_ADMIN_TOKEN"),
    "query_token": ("CLIPPER_QUERY_TOKEN",),
}
"""By argument; of several names, the first that is set."""


def from_environment() -> dict[str, str]:
    """The arguments that are set there, and not to nothing."""
    variables = os.environ  # noqa: TID251 - these are a client's, and no settings of the daemon
    found = {
        argument: next(filter(None, map(variables.get, names)), "")
        for argument, names in VARIABLES.items()
    }
    return {argument: value for argument, value in found.items() if value}

"""Whose fault it is when a selection policy, which may be the owner's own code, raises."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from clipper.core.errors import ClipperError, PolicyFailed
from clipper.selection.policy import SelectionPolicy

log = logging.getLogger(__name__)


@contextmanager
def blaming(policy: SelectionPolicy) -> Iterator[None]:
    """What goes wrong inside is the policy's fault, and the log says what it was.

    Raises:
        PolicyFailed: something did.
    """
    try:
        yield
    except ClipperError:
        raise
    except Exception as error:
        failure = blamed(policy, error)
        log.error("%s", failure.message, exc_info=error)
        raise failure from error


def blamed(policy: SelectionPolicy, error: Exception) -> PolicyFailed:
    """The policy has raised this."""
    return PolicyFailed(
        f"The selection policy {policy.name or type(policy).__name__} failed: "
        f"{type(error).__name__}: {error}",
        hint="The daemon's log has its traceback.",
    )

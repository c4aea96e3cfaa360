"""Whose fault it is when a selection policy, which may be the owner's own code, raises."""

from collections.abc import Iterator
from contextlib import contextmanager

from clipper.core.errors import ClipperError, PolicyFailed
from clipper.selection.policy import SelectionPolicy


@contextmanager
def blaming(policy: SelectionPolicy) -> Iterator[None]:
    """What goes wrong inside is the policy's fault.

    Raises:
        PolicyFailed: something did.
    """
    try:
        yield
    except ClipperError:
        raise
    except Exception as error:
        raise blamed(policy, error) from error


def blamed(policy: SelectionPolicy, error: Exception) -> PolicyFailed:
    """The policy has raised this."""
    return PolicyFailed(
        f"The selection policy {policy.name or type(policy).__name__} failed: "
        f"{type(error).__name__}: {error}",
        hint="The daemon's log has its traceback.",
    )

"""How every backend words what can go wrong, and the version of what they write."""

from clipper.core.errors import Conflict, NewerSchema, StateError

SCHEMA_VERSION = 1
"""Of the backends' layout and of the registry's records; raised when an older release could not
read, or would lose, what this one writes."""


def not_open(url: str) -> StateError:
    """A call before `open` succeeded, or after `close`."""
    return StateError(f"the store {url} is not open", hint="Open it first.")


def configuration_changed(expected: int) -> Conflict:
    """The revision is not the expected one."""
    return Conflict(
        f"the configuration is no longer at revision {expected}: someone else changed it first",
        hint="Read it again and repeat the change.",
    )


def cell_changed(key: str, expected: int) -> Conflict:
    """The cell's version is not the expected one."""
    return Conflict(
        f"the cell {key!r} is not at version {expected}: someone else changed it first",
        hint="Read it again and repeat the change.",
    )


def check_schema(url: str, found: int) -> None:
    """Refuse what a newer release wrote.

    Raises:
        NewerSchema: it has a version that this release does not know.
    """
    if found > SCHEMA_VERSION:
        raise NewerSchema(
            f"the store {url} has schema {found}, and this release knows schemas up to "
            f"{SCHEMA_VERSION}",
            hint="Run a release at least as new as the one that wrote it, or name another --store.",
        )

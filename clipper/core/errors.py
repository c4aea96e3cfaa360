"""Everything that can go wrong, as one tree; the branch says whose fault it is.

The tree knows no HTTP or gRPC status: the frontends map it by table.
"""

from typing import ClassVar


class ClipperError(Exception):
    """Something went wrong in Clipper."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().partition("\n")[0])
        self.hint = hint

    @property
    def message(self) -> str:
        """What happened, with the name and the value; the hint says what to do about it."""
        return str(self.args[0])


class RequestError(ClipperError):
    """The request cannot be carried out as it was sent."""

    code = "invalid_request"


class InvalidInput(RequestError):
    """The input is not what was asked for."""

    code = "invalid_input"


class UnknownApplication(RequestError):
    """No such application."""

    code = "unknown_application"


class UnknownModel(RequestError):
    """No such model, version or replica."""

    code = "unknown_model"


class UnknownQuery(RequestError):
    """The query is unknown, or too old to learn from."""

    code = "unknown_query"


class UnknownPackage(RequestError):
    """The model was not sent, or not all of it."""

    code = "unknown_package"


class AlreadyExists(RequestError):
    """A thing of this name exists already."""

    code = "already_exists"


class Incompatible(RequestError):
    """The two do not fit together."""

    code = "incompatible"


class Overloaded(ClipperError):
    """There is more work than can be done in time."""

    code = "overloaded"


class QueueFull(Overloaded):
    """The model's queue is at capacity. Retry later, or add replicas."""

    code = "queue_full"


class Shed(Overloaded):
    """The answer would have come too late, so the model was not asked."""

    code = "shed"


class DeadlineExceeded(ClipperError):
    """The deadline passed before an answer was there."""

    code = "deadline_exceeded"


class ReplicaError(ClipperError):
    """A replica did not do its work."""

    code = "replica_error"


class ModelFailed(ReplicaError):
    """The model raised, or its answer does not fit its batch; the replica is usable."""

    code = "model_failed"


class ReplicaFailed(ReplicaError):
    """The replica broke off; what was in flight on it may be tried elsewhere."""

    code = "replica_failed"


class ReplicaUnavailable(ReplicaError):
    """No replica is there to answer."""

    code = "replica_unavailable"


class StateError(ClipperError):
    """The store cannot be used."""

    code = "store_unavailable"


class NewerSchema(StateError):
    """The store was written by a newer release."""

    code = "store_newer_schema"


class Conflict(StateError):
    """Someone else changed the record first."""

    code = "store_conflict"


class PolicyFailed(ClipperError):
    """A selection policy raised, or gave what is no answer."""

    code = "policy_failed"


class DeployError(ClipperError):
    """The model could not be brought up."""

    code = "deploy_failed"


class Unanswered(ClipperError):
    """Another process of the daemon is gone, or does not answer."""

    code = "unanswered"


class SettingsError(ClipperError):
    """The settings cannot be used."""

    code = "invalid_settings"


def error_of(code: str, message: str, hint: str) -> ClipperError:
    """The error that has this code, again; of several that share one, the most general."""
    rest: list[type[ClipperError]] = [ClipperError]
    for cls in rest:
        if cls.code == code:
            return cls(message, hint=hint)
        rest += cls.__subclasses__()
    return ClipperError(message, hint=hint)

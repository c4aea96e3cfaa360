"""What can go wrong between a client and the daemon; the class says whose turn it is.

Every error has a `hint`: the next step of whoever reads it.
"""


class AdminError(Exception):
    """A call to the daemon did not succeed."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        return f"{self.message.rstrip('.')}. {self.hint}"


class InvalidCall(AdminError, ValueError):
    """The call cannot be made as it stands; nothing was sent."""


class ClipperRefused(AdminError):
    """The daemon answered, and the answer is no."""

    def __init__(self, message: str, *, code: str, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        """Stable name of the cause: `unknown_application`, `already_exists`, `deploy_failed`..."""
        self.status = status
        """The HTTP status it came with."""


class ClipperUnreachable(AdminError):
    """Nobody answered, or nobody that speaks Clipper."""


class ClipperTimeout(ClipperUnreachable):
    """The answer did not come in time; what was asked for may still happen."""


class DeployTimeout(ClipperTimeout):
    """Replicas were not ready in time; the daemon may go on trying."""


class BuildFailed(AdminError):
    """An image could not be built on this machine; the daemon was not asked."""

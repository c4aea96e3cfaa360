"""`clipperd` without least predicted work: whoever is idle takes the next batch, in turn.

Everything else is as it is: one queue, batch sizes, drops. Takes the flags of `clipperd`.
"""

from unittest.mock import patch

from clipper import daemon
from clipper.abstraction import layer
from clipper.abstraction.member import Member
from clipper.abstraction.scheduler import Scheduler


class InTurn(Scheduler):
    """Knows nothing of how fast a replica is."""

    def pace_s(self, member: Member) -> float:
        """All are alike, so that the one that has been idle longest is woken."""
        return 0.0

    def is_slow(self, member: Member, size: int, now: float) -> bool:
        """Nobody leaves anything to others."""
        return False


def main() -> None:
    """Run the daemon."""
    with patch.object(layer, "Scheduler", InTurn):
        daemon.main()


if __name__ == "__main__":
    main()

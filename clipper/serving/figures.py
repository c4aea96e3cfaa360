"""Numbers about models and replicas as an operator sees them, whoever counted them.

They are plain values: in a daemon of several processes they travel, and are added up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import msgspec

from clipper.abstraction.approximation import Approximation
from clipper.abstraction.binomial import upper_bound
from clipper.abstraction.latency import Profile
from clipper.abstraction.member import Member
from clipper.core.metrics import Metrics
from clipper.core.types import ModelId


class ReplicaFigures(msgspec.Struct, frozen=True):
    """What one life of a replica takes, and what it did."""

    limit: int
    """Queries in a batch at the most; 0: it takes none now."""
    limit_reason: str
    latency: Profile | None
    """None while nothing is known of it."""
    batches: int
    """Answered in this life, likewise queries."""
    queries: int

    @classmethod
    def of(cls, member: Member) -> Self:
        """Those of a replica that takes batches from this process."""
        estimate = member.estimate
        return cls(
            member.limit,
            member.control.explain(),
            estimate.profile if estimate.samples else None,
            member.batches,
            member.queries,
        )


class ApproximationFigures(msgspec.Struct, frozen=True):
    """What the approximate cache of a model version did, and whether it still may."""

    is_on: bool
    reason: str
    """Why it is off."""
    entries: int
    audited: int
    disagreed: int
    recent: tuple[int, int]
    """Disagreements and audits of late."""

    @property
    def upper_bound(self) -> float:
        """At most this share of its hits is wrong, at 95 % confidence, by the recent audits."""
        return upper_bound(*self.recent)

    @classmethod
    def of(cls, approximation: Approximation) -> Self:
        """Those of an approximate cache in this process."""
        audit = approximation.audit
        return cls(
            audit.is_on,
            audit.reason,
            len(approximation.index),
            audit.audited,
            audit.disagreed,
            audit.recent,
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is counted."""

    metrics: Metrics
    approximations: Mapping[ModelId, ApproximationFigures]
    """Of the model versions that have an approximate cache."""
    uptime_s: float
    """Of the daemon."""

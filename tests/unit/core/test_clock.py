"""The wall clock."""

from datetime import UTC, datetime

from clipper.core.clock import utc_now


def test_now_is_seconds_since_the_epoch() -> None:
    assert abs(utc_now() - datetime.now(UTC).timestamp()) < 5

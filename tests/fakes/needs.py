"""What tests need and a machine may not have."""

import os
from typing import NoReturn

import pytest


def missing(need: str, reason: str) -> NoReturn:
    """Skip this test by the name of what is missing; fail it where TEST_REQUIRE names that."""
    if need in os.environ.get("TEST_REQUIRE", "").split(","):
        pytest.fail(f"{need} is required: {reason}")
    pytest.skip(f"{need}: {reason}")

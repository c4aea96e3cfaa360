"""The search for the highest rate that a system holds."""

import pytest
from peers.goodput import LOWEST_RATE, highest


@pytest.mark.parametrize("capacity", [12.0, 99.0, 1000.0, 43_210.0])
@pytest.mark.parametrize("guess", [0.0, 500.0, 20_000.0])
def test_the_highest_rate_is_found_from_any_guess(capacity: float, guess: float) -> None:
    found = highest(lambda rate: rate <= capacity, guess, precision=1.05)
    assert capacity / 1.05 <= found <= capacity


def test_a_system_that_holds_nothing_has_none() -> None:
    asked: list[float] = []

    def holds(rate: float) -> bool:
        asked.append(rate)
        return False

    assert highest(holds, 100.0, precision=1.05) == 0.0
    assert min(asked) == LOWEST_RATE


def test_the_rate_that_is_found_was_held() -> None:
    held: list[float] = []

    def holds(rate: float) -> bool:
        if rate < 777:
            held.append(rate)
        return rate < 777

    assert highest(holds, 100.0, precision=1.05) in held

"""Quantile regression: the best line by the pinball loss, and a window that follows the model."""

import numpy as np
import pytest
from scipy.optimize import linprog

from clipper.abstraction.quantiles import NEEDED, REFIT_EVERY, Floats, QuantileLine, quantile_line


def pinball(sizes: Floats, latencies_s: Floats, line: tuple[float, float], q: float) -> float:
    above = latencies_s - line[0] - line[1] * sizes
    return float(np.where(above >= 0, q * above, (q - 1) * above).sum())


def best_possible(sizes: Floats, latencies_s: Floats, q: float) -> float:
    """The least pinball loss of any line that is nowhere negative, by linear programming."""
    count = len(sizes)
    costs = np.concatenate([[0, 0], np.full(count, q), np.full(count, 1 - q)])
    rows = np.hstack([np.ones((count, 1)), sizes[:, None], np.eye(count), -np.eye(count)])
    found = linprog(costs, A_eq=rows, b_eq=latencies_s, bounds=(0, None))
    return float(found.fun)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_no_line_has_a_smaller_loss(seed: int, q: float) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 200, 300).astype(float)
    latencies_s = (0.004 + 0.0001 * sizes) * np.exp(rng.normal(0, 0.2, 300))
    loss = pinball(sizes, latencies_s, quantile_line(sizes, latencies_s, q), q)
    assert loss <= best_possible(sizes, latencies_s, q) * 1.01


def test_so_many_points_lie_below_the_line() -> None:
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 100, 1000).astype(float)
    latencies_s = 0.01 + 0.001 * sizes + rng.exponential(0.005, 1000)
    fixed_s, per_item_s = quantile_line(sizes, latencies_s, 0.99)
    assert np.mean(latencies_s <= fixed_s + per_item_s * sizes) == pytest.approx(0.99, abs=0.006)


@pytest.mark.parametrize("latencies_s", [[3.0, 2.0, 1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 4.0]])
def test_neither_coefficient_is_negative(latencies_s: list[float]) -> None:
    line = quantile_line(np.array([1.0, 2.0, 3.0]), np.array(latencies_s), 0.99)
    assert min(line) >= 0


def test_there_is_no_fit_before_enough_was_seen() -> None:
    line = QuantileLine()
    for number in range(NEEDED - 1):
        line.observe(1 + number % 10, 0.01)
    assert not line.is_fitted
    line.observe(10, 0.01)
    assert line.is_fitted
    assert line.fixed_s + 5 * line.per_item_s == pytest.approx(0.01, rel=1e-3)


def test_batches_of_one_size_are_no_line() -> None:
    line = QuantileLine()
    for _ in range(5 * NEEDED):
        line.observe(8, 0.01)
    assert not line.is_fitted


def test_it_follows_a_model_that_becomes_slower_even_if_all_batches_have_one_size() -> None:
    line = QuantileLine()
    for number in range(1000):
        size = 1 + number % 100
        line.observe(size, 0.001 + 0.0001 * size)
    for _ in range(1000 + REFIT_EVERY):
        line.observe(50, 0.020)
    assert line.fixed_s + 50 * line.per_item_s == pytest.approx(0.020, rel=0.01)

"""What a model usually says."""

from typing import Any

import pytest

from clipper.abstraction.usual import MEMORY, STALE, UsualOutput
from clipper.core.outputs import output_of


def usual(*values: Any) -> Any:
    running = UsualOutput()
    for value in values:
        running.add(output_of(value))
    return running.output and running.output.value


def test_it_is_the_mean_of_numbers_or_of_vectors() -> None:
    assert usual(1, 2.0, 6) == pytest.approx(3)
    assert usual([1, 0], [0, 1.0]) == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    "values", [(), ("cat",), (None,), (True,), ({"a": 1},), (["a"],), (10**400,)]
)
def test_of_anything_else_nothing_is_usual(values: Any) -> None:
    assert usual(*values) is None


def test_what_is_no_number_is_passed_over() -> None:
    assert usual(1, "cat", 3) == pytest.approx(2)


def test_another_shape_begins_anew() -> None:
    assert usual([1, 1], [5, 5, 5]) == [5, 5, 5]
    assert usual(3, [5]) == [5]


def test_old_outputs_are_forgotten() -> None:
    assert usual(*[0.0] * MEMORY, *[1.0] * MEMORY) == 1.0


def test_what_has_come_since_counts_before_long() -> None:
    running = UsualOutput()
    running.add(output_of(0.0))
    assert running.output == output_of(0.0)
    for _ in range(STALE):
        running.add(output_of(1.0))
    assert running.output is not None
    assert running.output.value > 0.9


def test_what_is_too_long_is_not_held() -> None:
    assert usual([0.5] * 5000) is None

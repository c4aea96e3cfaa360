"""The batch size limit stays in its bounds, and only full batches raise it."""

from hypothesis import given
from hypothesis import strategies as st

from clipper.abstraction.batching import Aimd

latencies = st.floats(0, 10, allow_nan=False)
observations = st.lists(st.tuples(st.integers(1, 200), latencies), max_size=200)


@given(maximum=st.integers(1, 100), objective_s=st.floats(1e-6, 10), observed=observations)
def test_the_limit_stays_between_one_and_its_maximum(
    maximum: int, objective_s: float, observed: list[tuple[int, float]]
) -> None:
    aimd = Aimd(objective_s, maximum=maximum)
    for size, latency_s in observed:
        aimd.observe(size, latency_s)
        assert 1 <= aimd.batch_size <= maximum


@given(start=st.integers(1, 100), observed=observations)
def test_only_full_batches_in_time_raise_it_and_only_late_ones_lower_it(
    start: int, observed: list[tuple[int, float]]
) -> None:
    aimd = Aimd(0.1, start=start)
    for size, latency_s in observed:
        before = aimd.batch_size
        aimd.observe(size, latency_s)
        if aimd.batch_size > before:
            assert size >= before
            assert latency_s < 0.1
        if aimd.batch_size < before:
            assert latency_s > 0.1


@given(alpha_s=st.floats(1e-4, 0.02), beta_s=st.floats(0, 0.05), start=st.integers(1, 1024))
def test_under_load_it_comes_to_just_about_what_is_possible_wherever_it_began(
    alpha_s: float, beta_s: float, start: int
) -> None:
    aimd = Aimd(0.1, start=start)
    best = int((0.1 - beta_s) / alpha_s)
    for _ in range(700):
        aimd.observe(aimd.batch_size, beta_s + alpha_s * aimd.batch_size)
    for _ in range(10):
        aimd.observe(aimd.batch_size, beta_s + alpha_s * aimd.batch_size)
        assert int(best * 0.75) - 2 <= aimd.batch_size <= best + 2

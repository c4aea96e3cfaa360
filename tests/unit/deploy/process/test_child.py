"""How a child ended, in a sentence."""

import pytest

from clipper.deploy.process.child import how_it_ended, oom_kills


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (0, "exited with code 0"),
        (137, "exited with code 137"),
        (-9, "killed by SIGKILL"),
        (-11, "killed by SIGSEGV"),
        (-40, "killed by signal 40"),
    ],
)
def test_an_exit_code_becomes_a_sentence(code: int, sentence: str) -> None:
    assert how_it_ended(code) == sentence


def test_running_out_of_memory_goes_before_the_signal_that_it_ended_with() -> None:
    assert how_it_ended(-9, out_of_memory=True) == "ran out of memory"


def test_the_kernel_counts_what_it_killed() -> None:
    assert oom_kills() >= 0

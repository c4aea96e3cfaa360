"""What the reaper is told, and what it will not touch."""

import os

from clipper.deploy.reaper import follow, kill_group, kill_marked


def test_groups_are_held_until_they_are_taken_back() -> None:
    assert follow([b"+10\n", b"+11\n", b"-10\n", b"+12\n"]) == {11, 12}
    assert follow([b"+10\n", b"-10\n", b"+10\n"]) == {10}
    assert follow([]) == set()


def test_lines_that_make_no_sense_are_passed_over() -> None:
    assert follow([b"\n", b"+\n", b"+x\n", b"+-5\n", b"-99\n", b"+10"]) == {10}


def test_the_groups_that_mean_everybody_are_never_killed() -> None:
    for group in (-1, 0, 1):
        kill_group(group)
    assert os.getpid()


def test_a_mark_that_nobody_bears_kills_nobody() -> None:
    kill_marked("no such mark.")

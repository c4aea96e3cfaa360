"""What is said of the end of a process whose memory was limited."""

import pytest

from clipper.deploy.manager import Exit
from clipper.deploy.process.container import blame_memory

LIMIT = 512 << 20


@pytest.mark.parametrize(
    "line",
    [
        "MemoryError",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 381. MiB for an array",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 400000000 bytes.",
        "OSError: [Errno 12] Cannot allocate memory",
        "OpenBLAS error: Memory allocation still failed after 10 retries, giving up.",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "python: error while loading shared libraries: cannot map zero-fill pages",
        "libgfortran.so.5: failed to map segment from shared object",
    ],
)
def test_a_failed_allocation_is_put_down_to_the_limit(line: str) -> None:
    end = blame_memory(Exit(1, "exited with code 1", ("Loading", line, "")), LIMIT)
    assert end.reason == "ran out of memory, of which it may use 512 MiB"
    assert end.code == 1
    assert line in end.lines


@pytest.mark.parametrize(
    ("end", "limit"),
    [
        (Exit(1, "exited with code 1", ("ValueError: no",)), LIMIT),
        (Exit(1, "exited with code 1", ("MemoryError",)), 0),
        (Exit(0, "exited with code 0", ("MemoryError in one batch",)), LIMIT),
    ],
)
def test_any_other_end_is_left_as_it_is(end: Exit, limit: int) -> None:
    assert blame_memory(end, limit) == end

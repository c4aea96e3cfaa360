"""Functions that were saved by cloudpickle."""

from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from clipper_container import LoadError

from tests.integration.frameworks.conftest import Load, Serve


async def test_a_function_answers_with_what_it_closed_over(serve: Serve, tmp_path: Path) -> None:
    weights = [1.0, 10.0]

    def weigh(inputs: Any) -> Any:
        return [float(each @ weights) for each in inputs]

    (tmp_path / "func.cloudpickle").write_bytes(cloudpickle.dumps(weigh))
    served = await serve("closure", tmp_path, "floats")
    assert await served.predict([[1, 2], [3, 4]]) == [21.0, 43.0]
    assert served.description.model == f"cloudpickle {cloudpickle.__version__}, weigh"


@pytest.mark.parametrize(
    ("saved", "complaint"),
    [
        (42, "holds a int, which cannot be called"),
        (lambda model, inputs: inputs, "<lambda>, which does not take one argument"),
    ],
)
def test_what_is_no_function_of_a_batch_is_refused(
    load: Load, tmp_path: Path, saved: object, complaint: str
) -> None:
    (tmp_path / "f.cloudpickle").write_bytes(cloudpickle.dumps(saved))
    with pytest.raises(LoadError, match=complaint):
        load("closure", tmp_path / "f.cloudpickle")


def test_a_corrupt_file_is_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "f.cloudpickle").write_bytes(b"\x80\x05")
    with pytest.raises(LoadError, match=r"f\.cloudpickle cannot be read as a function: EOFError"):
        load("closure", tmp_path)

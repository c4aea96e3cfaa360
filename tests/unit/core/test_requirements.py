"""What a model may ask pip for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from clipper.core.errors import InvalidInput
from clipper.core.requirements import LINE_LENGTH_MAX, LINES_MAX, check_requirements


def test_requirements_come_back_in_one_form_whoever_wrote_them() -> None:
    lines = ["Scikit_Learn >= 1.0, <2", "numpy", "Torch[OPT_einsum,b] == 2.4.1+cpu"]
    assert check_requirements(lines) == (
        "scikit-learn<2,>=1.0",
        "numpy",
        "torch[b,opt-einsum]==2.4.1+cpu",
    )


def test_comments_blank_lines_and_repetitions_go() -> None:
    lines = ["# what it needs", "", "  numpy>=2  # arrays", "NumPy >=2", "scipy"]
    assert check_requirements(lines) == ("numpy>=2", "scipy")


def test_a_marker_stays() -> None:
    (line,) = check_requirements(["tomli; python_version<'3.11'"])
    assert line == 'tomli; python_version < "3.11"'


def test_nothing_asks_for_nothing() -> None:
    assert check_requirements([]) == ()


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "--index-url=http://evil.example/simple",
        "-e .",
        "numpy --hash=sha256:00",
        "numpy --no-deps",
        "./folder",
        "/tmp/model.whl",
        "../up",
        "model @ file:///tmp/model.whl",
        "model @ git+https://example.com/model.git",
        "http://example.com/model.whl",
        "git+ssh://git@example.com/model",
        "model==1.0.zip",
        "model===../../tmp/evil",
        "model==${HOME}",
        'model; python_version < "$SECRET"',
        "two words",
        "numpy>=2 \\",
        "numpy\nscipy",
        "numpy\0",
        "none of, your==business",
        "numpy>=",
        "[extra]",
        "é",
    ],
)
def test_whatever_is_no_plain_requirement_is_refused_by_name(line: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_requirements(["numpy", line])
    assert repr(line) in refused.value.message
    assert refused.value.hint


def test_a_name_that_ends_like_an_archive_is_a_name_to_pip_too() -> None:
    assert check_requirements(["model.whl", "other.tar.gz"]) == ("model-whl", "other-tar-gz")


def test_lines_are_bounded_in_length_and_number() -> None:
    with pytest.raises(InvalidInput, match="longer") as refused:
        check_requirements(["x" * (LINE_LENGTH_MAX + 1)])
    assert len(refused.value.message) < LINE_LENGTH_MAX
    with pytest.raises(InvalidInput, match=str(LINES_MAX + 1)):
        check_requirements(["numpy"] * (LINES_MAX + 1))


@given(st.text(max_size=60))
def test_what_is_taken_is_a_requirement_without_a_path_and_is_taken_again(line: str) -> None:
    try:
        taken = check_requirements([line])
    except InvalidInput:
        return
    for each in taken:
        named = each.partition(";")[0]
        assert Requirement(each).url is None
        assert not set(named) & set("/\\$@")
        assert not named.startswith(("-", "."))
    assert check_requirements(taken) == taken

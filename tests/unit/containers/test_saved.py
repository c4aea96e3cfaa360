"""Which file a saved model is, and what is said of one that cannot be read."""

from pathlib import Path

import pytest
from clipper_container import LoadError
from clipper_container.saved import find_file, reading, reason


def test_a_folder_stands_for_its_only_model(tmp_path: Path) -> None:
    for name in ("a.onnx", "func.cloudpickle", "README.md"):
        (tmp_path / name).touch()
    assert find_file(str(tmp_path), (".onnx", ".cloudpickle")) == tmp_path / "a.onnx"
    assert find_file(str(tmp_path), (".cloudpickle",)) == tmp_path / "func.cloudpickle"
    assert find_file(str(tmp_path / "README.md"), (".onnx",)) == tmp_path / "README.md"


def test_what_is_missing_or_not_clear_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="/no/model: there is no such file or folder"):
        find_file("/no/model", (".onnx",))
    with pytest.raises(LoadError, match="No saved model was given"):
        find_file("", (".onnx",))
    with pytest.raises(LoadError, match=r"exactly one \.onnx or \.ort file; it holds none"):
        find_file(str(tmp_path), (".onnx", ".ort"))


def test_what_begins_as_a_model_does_is_preferred_where_names_leave_it_open(tmp_path: Path) -> None:
    def looks(start: bytes) -> bool:
        return start.startswith(b"tree")

    for name in ("requirements.txt", "model.txt"):
        (tmp_path / name).touch()
    assert find_file(str(tmp_path), (".txt",)) == tmp_path / "model.txt"
    (tmp_path / "notes.txt").write_text("to do")
    with pytest.raises(LoadError, match=r"it holds model\.txt, notes\.txt\."):
        find_file(str(tmp_path), (".txt",), looks)
    (tmp_path / "model.txt").write_text("tree and more")
    assert find_file(str(tmp_path), (".txt",), looks) == tmp_path / "model.txt"
    (tmp_path / "other.txt").write_text("trees")
    with pytest.raises(LoadError, match=r"it holds model\.txt, other\.txt\."):
        find_file(str(tmp_path), (".txt",), looks)


def test_whatever_a_framework_raises_becomes_one_line_about_the_file() -> None:
    def read(error: Exception) -> str:
        with pytest.raises(LoadError) as refused, reading(Path("m.bin"), "a model"):
            raise error
        assert "\n" not in str(refused.value)
        return str(refused.value)

    assert read(ValueError("bad\n\tmagic")) == (
        "m.bin cannot be read as a model: ValueError: bad magic"
    )
    assert read(EOFError()) == "m.bin cannot be read as a model: EOFError"
    assert read(LoadError("m.bin has no layers")) == "m.bin has no layers"
    told = read(ModuleNotFoundError("No module named 'x'", name="x"))
    assert told.startswith("m.bin needs the Python package x, which is not installed here")
    told = read(AttributeError("Can't get attribute 'LogScale' on <module '__main__' from 'a.py'>"))
    assert told.startswith("LogScale was defined in the script that saved m.bin, and is not in the")
    assert "with deploy_live_model, or move the class to a module" in told


def test_a_module_that_may_be_a_file_of_the_users_is_not_called_a_package() -> None:
    def read(name: str) -> str:
        with (
            pytest.raises(LoadError) as refused,
            reading(Path("a/whole.pt"), "a model", "--framework pytorch"),
        ):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return str(refused.value)

    assert read("net") == (
        "a/whole.pt was saved with code of the module `net`. If that is a file of yours: "
        "deploy net.py:Class --framework pytorch --model-data whole.pt; "
        "if it is a package: --requirements."
    )
    assert "needs the Python package torchvision" in read("torchvision")


def test_a_reason_is_of_bounded_length_and_without_the_stack_of_native_code() -> None:
    assert len(reason(ValueError("x" * 100_000))) < 1100
    error = RuntimeError("[11:03] json.cc: Unknown construct\nStack trace:\n  [bt] (0) lib.so")
    assert reason(error) == "RuntimeError: [11:03] json.cc: Unknown construct"


def test_a_model_that_asks_to_end_the_process_is_not_held_up() -> None:
    with pytest.raises(SystemExit), reading(Path("m.bin"), "a model"):
        raise SystemExit(3)

"""What the engine gets to see of a build, and what stays on this machine."""

import io
import tarfile
from pathlib import Path

import pytest

from clipper.deploy.docker.build_context import neighbours, write_context
from clipper.deploy.docker.recipe import Recipe
from clipper.deploy.program import Code


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder as people have it: a class, what it imports, and much else."""
    home = tmp_path / "home"
    for name in ("rules.py", "tables.py", "lib/__init__.py", "lib/deep/more.py", "lib/data.csv"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    for name in (".env", "passwords.txt", ".venv/lib/x.py", "notes/x.py", "__pycache__/rules.pyc"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("secret")
    (home / "lib/__pycache__").mkdir()
    (home / "lib/__pycache__/more.pyc").touch()
    return home


def context(recipe: Recipe, packages: Path = Path("nowhere")) -> dict[str, tarfile.TarInfo]:
    archive = io.BytesIO()
    write_context(recipe, packages, archive)
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        return {entry.name: entry for entry in tar.getmembers()}


def recipe(code: Code | None = None, model: Path | None = None, *requirements: str) -> Recipe:
    return Recipe("clipper/m:1", "clipper/python-container:1", requirements, code, model)


def test_a_class_goes_in_with_what_it_can_import_and_nothing_else(home: Path) -> None:
    files = context(recipe(Code(home / "rules.py", "Rules")))
    assert {name for name, entry in files.items() if entry.isfile()} == {
        "Dockerfile",
        *("code/rules.py", "code/tables.py"),
        *("code/lib/__init__.py", "code/lib/deep/more.py", "code/lib/data.csv"),
    }


def test_a_folder_that_cannot_be_entered_is_no_package(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **how: bool) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    assert [path.name for path in neighbours(home / "rules.py")] == ["lib", "rules.py", "tables.py"]


def test_everything_is_for_all_to_read_and_the_same_each_time(home: Path) -> None:
    (home / "rules.py").chmod(0o600)
    first = context(recipe(Code(home / "rules.py", "Rules")))
    assert first["code/rules.py"].mode == 0o644
    assert first["code/lib"].mode == 0o755
    assert {(entry.uid, entry.gid, entry.mtime) for entry in first.values()} == {(0, 0, 0)}


def test_a_saved_file_keeps_its_name_and_a_folder_becomes_the_model(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "weights.bin").write_bytes(b"1234")
    (saved / "link.bin").symlink_to("weights.bin")
    single = context(recipe(model=saved / "weights.bin"))
    assert single["model/weights.bin"].size == 4
    whole = context(recipe(model=saved))
    assert whole["model"].isdir()
    assert whole["model/link.bin"].isfile()  # a link would lead nowhere


def test_a_link_to_where_it_is_itself_is_refused_rather_than_followed_for_ever(
    tmp_path: Path,
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    with pytest.raises(OSError, match="deep/up leads to"):
        context(recipe(model=tmp_path))


def test_packages_go_in_where_some_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "pandas").mkdir()
    (tmp_path / "pandas" / "__init__.py").touch()
    assert "packages/pandas/__init__.py" in context(recipe(None, None, "pandas"), tmp_path)
    assert not [name for name in context(recipe(), tmp_path) if name.startswith("packages")]

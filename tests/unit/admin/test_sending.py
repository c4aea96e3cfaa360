"""Models that are sent: packed alike each time, in parts, and not twice."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clipper.admin import sending
from clipper.admin.errors import ClipperRefused, InvalidCall
from clipper.admin.listener import Listener
from clipper.admin.sending import send, send_code


class Store:
    """The daemon's side, in memory."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}
        self.models: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        self.is_full = False
        self.overtaken_at = 0
        """Before this part, somebody else sends the same."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        digest, *rest = request.url.path.removeprefix("/api/v1/packages/").split("/")
        self.requests.append(request.method + (" parts" if rest else ""))
        there = self.parts.get(digest, b"")
        if request.method == "GET":
            return httpx.Response(200, json={"bytes": len(there)})
        if rest:
            if self.is_full:
                error = {"code": "invalid_input", "message": "No space.", "hint": "Free some."}
                return httpx.Response(400, json={"error": error})
            self.overtaken_at -= 1
            if self.overtaken_at == 0:
                self.parts[digest] = there = there + request.content
            if int(request.url.params["offset"]) != len(there):
                error = {"code": "incompatible", "message": "Not from there.", "hint": ""}
                return httpx.Response(409, json={"error": error})
            self.parts[digest] = there + request.content
            return httpx.Response(200, json={"bytes": len(self.parts[digest])})
        if digest not in self.models:
            if hashlib.sha256(there).hexdigest() != digest:
                error = {"code": "unknown_package", "message": "No such package.", "hint": ""}
                return httpx.Response(404, json={"error": error})
            with zipfile.ZipFile(io.BytesIO(there)) as archive:
                self.models[digest] = {name: archive.read(name) for name in archive.namelist()}
        root = next(iter(self.models[digest])).split("/")[0]
        return httpx.Response(200, json={"path": f"/kept/{digest}/{root}"})


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def admin(store: Store) -> Iterator[Listener]:
    listener = Listener("http://127.0.0.1:1338", None, 30.0, httpx.MockTransport(store))
    yield listener
    listener.close()


def test_a_folder_arrives_with_all_that_is_in_it(
    store: Store, admin: Listener, tmp_path: Path
) -> None:
    model = tmp_path / "churn"
    (model / "data").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors:")
    (model / "data" / "model.pkl").write_bytes(b"\x80")
    (model / "__pycache__").mkdir()
    (model / "__pycache__" / "x.pyc").touch()
    path = send(admin, model)
    assert path.endswith("/churn")
    (files,) = store.models.values()
    assert files == {"churn/MLmodel": b"flavors:", "churn/data/model.pkl": b"\x80"}


def test_links_are_followed_inside_and_refused_where_they_lead_out(
    store: Store, admin: Listener, tmp_path: Path
) -> None:
    (tmp_path / "id_rsa").touch()
    model = tmp_path / "churn"
    (model / "v1").mkdir(parents=True)
    (model / "v1" / "model.pkl").write_bytes(b"\x80")
    (model / "current").symlink_to("v1")
    send(admin, model)
    (files,) = store.models.values()
    assert files == {"churn/current/model.pkl": b"\x80", "churn/v1/model.pkl": b"\x80"}
    (model / "vocab.txt").symlink_to("../id_rsa")
    with pytest.raises(InvalidCall, match=r"churn cannot be sent: .*/vocab\.txt leads out"):
        send(admin, model)
    (model / "vocab.txt").unlink()
    (model / "vocab.txt").symlink_to("gone")
    with pytest.raises(InvalidCall, match=r"vocab\.txt leads to .*gone, where there is nothing"):
        send(admin, model)
    (tmp_path / "rules.py").touch()
    (tmp_path / "keys.py").symlink_to("/etc/hostname")
    with pytest.raises(InvalidCall, match=r"keys\.py leads out"):
        send_code(admin, tmp_path / "rules.py")


def test_a_file_that_may_not_be_read_is_named(
    store: Store, admin: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m").touch()

    def refuse(self: Path, mode: str) -> None:  # whoever runs this may well read everything
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidCall, match=r"/m cannot be sent: .*Permission denied: '.*/m'"):
        send(admin, tmp_path / "m")


def test_what_is_there_is_not_sent_again(store: Store, admin: Listener, tmp_path: Path) -> None:
    model = tmp_path / "svm.joblib"
    model.write_bytes(b"weights")
    first = send(admin, model)
    store.requests.clear()
    model.touch()
    assert send(admin, model) == first
    assert store.requests == ["POST"]


def test_a_large_model_goes_in_parts_and_on_from_where_it_broke_off(
    store: Store, admin: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PART_BYTES", 1000)
    model = tmp_path / "svm.joblib"
    model.write_bytes(bytes(5000))
    send(admin, model)
    sent = store.requests.count("POST parts")
    assert sent > 5
    (digest,) = store.models
    store.models.clear()
    store.parts[digest] = store.parts[digest][:3000]
    store.requests.clear()
    send(admin, model)
    assert store.requests.count("POST parts") == sent - 3


def test_two_who_send_the_same_go_on_where_the_other_is(
    store: Store, admin: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PART_BYTES", 1000)
    model = tmp_path / "svm.joblib"
    model.write_bytes(bytes(5000))
    store.overtaken_at = 2
    assert send(admin, model).startswith("/kept/")


def test_a_daemon_that_cannot_store_it_says_so(
    store: Store, admin: Listener, tmp_path: Path
) -> None:
    (tmp_path / "m").touch()
    store.is_full = True
    with pytest.raises(ClipperRefused, match="No space"):
        send(admin, tmp_path / "m")


def test_a_class_goes_with_the_modules_beside_it_and_nothing_else(
    store: Store, admin: Listener, tmp_path: Path
) -> None:
    (tmp_path / "rules.py").write_text("import tables")
    (tmp_path / "tables.py").touch()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").touch()
    (tmp_path / "photos.zip").touch()
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "data").mkdir()
    assert send_code(admin, tmp_path / "rules.py").endswith("/code/rules.py")
    (files,) = store.models.values()
    names = ["lib/__init__.py", "requirements.txt", "rules.py", "tables.py"]
    assert sorted(files) == [f"code/{name}" for name in names]

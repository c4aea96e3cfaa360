"""What an image for a model is made of, and the Dockerfile that makes it.

Nothing that somebody typed reaches the Dockerfile but by a grammar: a reference to an image, and
names of files and a class, in letters that mean nothing to Docker. Packages come as files.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clipper
from clipper.core.errors import InvalidInput
from clipper.core.references import check_image
from clipper.core.requirements import check_requirements
from clipper.deploy.program import Code

CODE = "code"
MODEL = "model"
PACKAGES = "packages"
PLACES = {CODE: "/code", MODEL: "/model", PACKAGES: "/opt/clipper/environment"}
"""Where the folders of a build's context go in the image."""
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
CLASS_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
DIGEST_LETTERS = 20

# Isolated, or it would import what a package calls sitecustomize. A package's file for another
# Python, or one that is a template, is no error.
_COMPILE = "RUN python3 -I -m compileall -q -j 0 --invalidation-mode unchecked-hash {} || true"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image to be built; whoever makes one has it checked."""

    image: str
    """Its name."""
    base: str
    """The image that it adds to."""
    requirements: tuple[str, ...] = ()
    code: Code | None = None
    """A class, which is put in with its neighbours."""
    model: Path | None = None
    """A saved model, file or folder."""
    code_serves: bool = True
    """Whether the class serves; or the framework's does, and loads the saved model with it."""
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises InvalidInput where something of it could be taken for something else."""
        check_image(self.image)
        check_image(self.base)
        object.__setattr__(self, "requirements", check_requirements(self.requirements))
        if self.code is not None:
            _check(CLASS_NAME, self.code.class_name, "class")
            _check(FILE_NAME, self.code.file.name, "file of code")
        if self.model is not None:
            _check(FILE_NAME, self.model.name, "saved model")

    def dockerfile(self) -> str:
        """How the engine makes the image from the build's context; no command in it takes text."""
        # The label is the builder's to set; till then, nobody shall take the base's for it.
        lines = [f"FROM {self.base}", "LABEL ai.clipper.built=unfinished", "USER 0"]
        if self.requirements:
            lines += _copied(PACKAGES), _COMPILE.format(PLACES[PACKAGES])
        if self.code is not None:
            target = f"{PLACES[CODE]}/{self.code.file.name}:{self.code.class_name}"
            variable = "TARGET" if self.code_serves else "CODE"
            lines += _copied(CODE), f"ENV CLIPPER_CONTAINER_{variable}={target}"
        if self.model is not None:
            place = PLACES[MODEL] + ("" if self.model.is_dir() else f"/{self.model.name}")
            lines += _copied(MODEL), f"ENV CLIPPER_CONTAINER_MODEL_DATA={place}"
        return "\n".join([*lines, "USER 10001:10001", ""])

    def json(self) -> str:
        """For another process; `Recipe.parse` reads it."""
        code = None if self.code is None else [str(self.code.file), self.code.class_name]
        values = {
            "image": self.image,
            "base": self.base,
            "requirements": self.requirements,
            "code": code,
            "code_serves": self.code_serves,
            "model": None if self.model is None else str(self.model),
            "labels": dict(self.labels),
        }
        return json.dumps(values)

    @classmethod
    def parse(cls, text: str) -> "Recipe":
        """What `json` gave."""
        values: dict[str, Any] = json.loads(text)
        if values["code"]:
            values["code"] = Code(Path(values["code"][0]), values["code"][1])
        if values["model"]:
            values["model"] = Path(values["model"])
        values["requirements"] = tuple(values["requirements"])
        return cls(**values)


def _check(grammar: re.Pattern[str], name: str, what: str) -> None:
    if not grammar.fullmatch(name):
        raise InvalidInput(
            f"the {what} {name[:80]!r} has a name that cannot go into an image",
            hint="Rename it: letters, digits, `_`, and in names of files `.` and `-`.",
        )


def _copied(folder: str) -> str:
    return f"COPY {folder} {PLACES[folder]}"


def framework_image(prefix: str, framework: str, *, gpus: bool = False) -> str:
    """The image that docker/build.sh makes for a framework, for GPUs where it has to use some."""
    variant = "-cuda" if gpus else ""
    return f"{prefix}/{framework}-container:{clipper.__version__}{variant}"


def environment_image(prefix: str, instance: str, base: str, requirements: Collection[str]) -> str:
    """What an instance calls the image that has these packages on top of the base."""
    contents = json.dumps([instance, base, sorted(requirements)])
    digest = hashlib.sha256(contents.encode()).hexdigest()[:DIGEST_LETTERS]
    return f"{prefix}/environment:{digest}"

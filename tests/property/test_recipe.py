"""Whatever is asked for, a Dockerfile has the lines that it is made of, and no other."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from clipper.core.errors import InvalidInput
from clipper.deploy.docker.recipe import Recipe
from clipper.deploy.program import Code

LINES = re.compile(
    r"FROM [A-Za-z0-9._:/@+-]+\n"
    r"LABEL ai.clipper.built=unfinished\n"
    r"USER 0\n"
    r"(COPY packages /opt/clipper/environment\n"
    r"RUN python3 -I -m compileall -q -j 0 --invalidation-mode unchecked-hash "
    r"/opt/clipper/environment \|\| true\n)?"
    r"(COPY code /code\nENV CLIPPER_CONTAINER_TARGET=/code/[A-Za-z0-9._-]+:[A-Za-z0-9_]+\n)?"
    r"(COPY model /model\nENV CLIPPER_CONTAINER_MODEL_DATA=/model(/[A-Za-z0-9._-]+)?\n)?"
    r"USER 10001:10001\n"
)
# Text as people and attackers write it: of letters that mean something somewhere, and of any.
PIECES = st.sampled_from(
    [
        *("a", "clipper", "/", ":", "1", ".", "-", "_", "@", "\n", "RUN id", " ", "$(id)", "`"),
        *("\\", "#", '"', "'", "\r", "\x00", "${X}", ">=", "==", ";", "--index-url", "[x]", "é"),
    ]
)
TEXT = st.lists(PIECES, max_size=6).map("".join) | st.text(max_size=12)
FILES = TEXT.filter(lambda text: "/" not in text).map(lambda text: Path("/models", text or "x"))


@given(
    base=TEXT | st.just("clipper/noop-container:1"),
    requirements=st.lists(TEXT, max_size=3),
    code=st.none() | st.builds(Code, FILES, TEXT),
    model=st.none() | FILES,
)
def test_nothing_but_the_grammar_reaches_the_dockerfile(
    base: str, requirements: list[str], code: Code | None, model: Path | None
) -> None:
    try:
        recipe = Recipe("clipper/m:1", base, tuple(requirements), code, model)
    except InvalidInput:
        return
    assert LINES.fullmatch(recipe.dockerfile())

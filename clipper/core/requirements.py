"""The packages that a model may ask for: what is a requirement, and what pip must never be told.

A requirement is a name, extras, version bounds and a marker (PEP 508). pip takes much more for one:
options, URLs, folders, archives, and whatever looks like those. So a line is parsed, and what goes
to pip is put together anew from its parts, of which none can be read as a path or as a variable.
"""

import re
from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from clipper.core.errors import InvalidInput

LINES_MAX = 500
LINE_LENGTH_MAX = 250
SHOWN = 80
COMMENT = re.compile(r"(^|\s)#.*")
HINT = "A requirement is a name with version bounds, as numpy>=2.0 or torch[opt]==2.4.1."


def check_requirements(lines: Sequence[str]) -> tuple[str, ...]:
    """The requirements in one form, each once, in their order; comments and blank lines go.

    Raises:
        InvalidInput: a line is no requirement, or there are too many.
    """
    if len(lines) > LINES_MAX:
        raise InvalidInput(
            f"There are {len(lines)} lines of requirements, and at most {LINES_MAX} are taken.",
            hint="Name what the model imports; pip finds what that needs.",
        )
    wanted = (COMMENT.sub("", line).strip() for line in lines)
    return tuple(dict.fromkeys(_normal(line) for line in wanted if line))


def _normal(line: str) -> str:
    if len(line) > LINE_LENGTH_MAX:
        raise _refused(line, f"it is longer than {LINE_LENGTH_MAX} characters")
    if line.startswith("-"):
        raise _refused(line, "options of pip are not taken")
    if "$" in line or not line.isprintable():  # pip puts variables in, secret ones too
        raise _refused(line, "it has a character that no requirement has")
    try:
        parsed = Requirement(line)
    except InvalidRequirement as error:
        raise _refused(line, str(error).partition("\n")[0]) from error
    if parsed.url is not None:
        raise _refused(line, "URLs and paths are not taken")
    if any(bound.operator == "===" for bound in parsed.specifier):
        raise _refused(line, "=== takes any text, a path too; use ==")
    return _text(parsed)


def _text(parsed: Requirement) -> str:
    """As pip has it; canonical names have no dot, so that none ends like an archive's."""
    extras = ",".join(sorted(map(canonicalize_name, parsed.extras)))
    bounds = ",".join(sorted(map(str, parsed.specifier)))
    marker = f"; {parsed.marker}" if parsed.marker else ""
    return canonicalize_name(parsed.name) + (f"[{extras}]" if extras else "") + bounds + marker


def _refused(line: str, why: str) -> InvalidInput:
    return InvalidInput(f"The requirement {line[:SHOWN]!r} is not taken: {why}.", hint=HINT)

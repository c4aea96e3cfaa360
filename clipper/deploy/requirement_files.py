"""Files of requirements: read line by line, so that who is refused knows what to mend where."""

from pathlib import Path

from clipper.core.errors import DeployError, InvalidInput
from clipper.core.requirements import COMMENT, check_requirements

NAME = "requirements.txt"
OPTION_HINT = (
    "Set indexes in the daemon's pip configuration, or give another file with --requirements."
)


def read_requirements(file: Path) -> tuple[str, ...]:
    """The lines of a file without comments and blank ones.

    Raises:
        InvalidInput: a line is no requirement; the message names the file and the line.
        OSError, UnicodeDecodeError: it cannot be read.
    """
    found = []
    for number, text in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        line = COMMENT.sub("", text).strip()
        try:
            check_requirements([line])
        except InvalidInput as error:
            raise InvalidInput(
                f"{file}, line {number}: {error.message}",
                hint=OPTION_HINT if line.startswith("-") else error.hint,
            ) from error
        if line:
            found.append(line)
    return tuple(found)


def requirements_of(path: Path) -> tuple[str, ...]:
    """The lines of `requirements.txt` in a model's folder; none where there is no such file.

    Raises:
        DeployError: it cannot be read, or holds what is no requirement.
    """
    file = path / NAME
    if not path.is_dir() or not file.is_file():
        return ()
    try:
        return read_requirements(file)
    except InvalidInput as error:
        raise DeployError(error.message, hint=error.hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DeployError(
            f"the requirements of the model, {str(file)!r}, cannot be read: {error}",
            hint="Write one requirement of pip's in a line, as UTF-8.",
        ) from error

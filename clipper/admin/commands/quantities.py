"""What is written on a command line for more than one value: sizes, and files of lines."""

import re
from pathlib import Path

from clipper.admin.errors import InvalidCall
from clipper.core.errors import InvalidInput
from clipper.deploy.requirement_files import read_requirements

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def bytes_of(text: str) -> int:
    """`512m`, `8g` or `8GiB` in bytes.

    Raises:
        InvalidCall: it is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise InvalidCall(f"{text!r} is no size.", hint="Write it as 512m or 8g.")
    return int(float(match[1]) * UNITS[match[2]])


def size_of(number: int) -> str:
    """Bytes as `bytes_of` reads them, in the largest unit that is not too large; none as none."""
    unit = next((one for one in reversed(UNITS) if one and number >= UNITS[one]), "")
    return f"{number / UNITS[unit]:.4g}{unit}" if number else ""


def lines_of(file: Path) -> list[str]:
    """The lines of a file of requirements.

    Raises:
        InvalidCall: it cannot be read, or a line is no requirement.
    """
    try:
        return list(read_requirements(file))
    except InvalidInput as error:
        raise InvalidCall(error.message, hint=error.hint) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise InvalidCall(f"{file} cannot be read: {reason}.", hint="Name a text file.") from error

"""References to container images: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`, as registries have them.

The grammar is that of the OCI distribution project's package `reference`. What passes is no option
to any program, no path and no URL, and names one image only.
"""

import re

from clipper.core.errors import InvalidInput

NAME_MAX = 255
SHOWN_MAX = 80

_HOST_PART = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)"
_HOST = rf"{_HOST_PART}(?:\.{_HOST_PART})*(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128}"
REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PATH_PART}(?:/{_PATH_PART})*)(?::{_TAG})?(?:@{_DIGEST})?"
)


def check_image(reference: str) -> str:
    """The reference, if it is one.

    Raises:
        InvalidInput: it is not.
    """
    match = REFERENCE.fullmatch(reference)
    if match is None or len(match["name"]) > NAME_MAX:
        shown = reference if len(reference) <= SHOWN_MAX else f"{reference[:SHOWN_MAX]}..."
        raise InvalidInput(
            f"{shown!r} is no reference to a container image",
            hint="Write it as name:tag or registry.example:5000/folder/name:tag, in lower case "
            "before the tag.",
        )
    return reference

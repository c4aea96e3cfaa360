"""`/api/v1/packages`: models that clients send, in parts that are no JSON."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from clipper.deploy.packages import Packages
from clipper.frontend.api import ERRORS

Digest = Annotated[str, Path(description="SHA-256 of the zip archive, in hex")]
Offset = Annotated[int, Query(ge=0, description="the first byte's place in the archive")]


class PackageSize(BaseModel):
    """How much of an archive is there."""

    bytes: int


class PackagePath(BaseModel):
    """Where a package was unpacked."""

    path: str = Field(description="the path to deploy, on the daemon's machine")


def build_packages(packages: Packages) -> APIRouter:
    """Its routes."""
    router = APIRouter(prefix="/api/v1/packages", tags=["packages"], responses=ERRORS)

    @router.get("/{digest}/parts")
    async def size(digest: Digest) -> PackageSize:
        """How many bytes of a zip archive have been sent; go on from there."""
        return PackageSize(bytes=await packages.size(digest))

    @router.post("/{digest}/parts")
    async def append(digest: Digest, offset: Offset, request: Request) -> PackageSize:
        """Send the next part of a zip archive that holds one file or one folder."""
        return PackageSize(bytes=await packages.append(digest, offset, await request.body()))

    @router.post("/{digest}")
    async def unpack(digest: Digest) -> PackagePath:
        """Unpack what was sent; 404 where it was not, or not all of it."""
        return PackagePath(path=str(await packages.unpack(digest)))

    return router

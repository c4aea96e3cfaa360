"""The Python clients, and clipper-admin."""

from clipper.admin.aio import AsyncQueryClient
from clipper.admin.client import ClipperConnection

__all__ = ["AsyncQueryClient", "ClipperConnection"]

"""Serves a Python model to Clipper: write a class with `predict_batch`, name it, run it."""

from clipper_container.container import ModelContainer
from clipper_container.errors import LoadError

__all__ = ["LoadError", "ModelContainer"]
__version__ = "0.1.0"

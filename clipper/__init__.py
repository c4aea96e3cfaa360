"""Clipper: a prediction-serving daemon between applications and machine-learning models."""

__version__ = "0.1.0"

"""Replicas as child processes, and the environments that they run in."""

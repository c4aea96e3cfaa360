"""Replicas as Docker containers, and the images that they run."""

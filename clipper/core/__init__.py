"""Nouns and tools that every layer shares; imports no other clipper package."""

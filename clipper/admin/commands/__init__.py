"""The commands of clipper-admin, a module for each group."""

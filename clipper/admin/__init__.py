"""The Python client and clipper-admin."""

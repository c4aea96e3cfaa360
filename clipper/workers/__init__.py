"""Several processes that answer queries on one port: `clipperd --workers N`."""

"""The model abstraction layer: every model answers the same call in bounded time."""

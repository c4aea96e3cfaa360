"""What all tests share."""

import asyncio

# Python 3.11 makes a loop for whoever first asks which one is set, as pytest-asyncio does, and
# nobody closes that one; where none has been set on purpose, none is made.
asyncio.set_event_loop(None)

"""What keeps a model from being served where the cause is in no code: a traceback tells nothing."""


class LoadError(Exception):
    """The model cannot be loaded; the message says what to change, in its files or around them."""

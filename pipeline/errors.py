"""The one exception that is meant for the person at the terminal."""


class InputError(Exception):
    """What was given cannot be used; the message says what was expected, what was found, where, and what to do."""

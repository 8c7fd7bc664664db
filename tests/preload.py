"""Imported by the server of tests/forked.py, before any process is forked."""

from tests import forked

forked.load()

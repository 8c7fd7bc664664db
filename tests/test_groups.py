"""Tests that share what takes long to make stay in one process."""

import os

import pytest


@pytest.mark.xdist_group("one process")
def test_a_group_reaches_the_scheduler(request):
    """It reads groups from the ids; with versions of pytest and pytest-xdist that do not fit, they are not there."""
    group = "@one process" if "PYTEST_XDIST_WORKER" in os.environ else ""
    assert request.node.nodeid.endswith(f"::test_a_group_reaches_the_scheduler{group}")

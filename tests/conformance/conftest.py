"""The conformance suite: seeded faults against worker processes, then the proof from the topics.

`pytest tests/conformance --long` or TIERFLOW_LONG=1 runs the long form: 60,000 records, all scenarios.
"""

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long`."""
    parser.addoption("--long", action="store_true", default=False, help="run the long conformance suite")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the long form unless it is asked for."""
    if config.getoption("--long", default=False) or os.environ.get("TIERFLOW_LONG"):
        return
    skip = pytest.mark.skip(reason="long form: --long or TIERFLOW_LONG=1")
    for item in items:
        if "conformance" in item.path.parts and item.get_closest_marker("long"):
            item.add_marker(skip)

"""What pytest loads: the options of ``pytest --truing``, and nothing else until somebody gives that option.

pytest imports this in every run of everybody who has truing installed, so it costs next to nothing and changes nothing.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("truing", "truing: migrations and models on a real PostgreSQL")
    group.addoption("--truing", action="store_true", help="Check the Alembic project: one test for each check.")
    group.addoption(
        "--truing-select",
        action="append",
        default=[],
        metavar="CHECKS",
        help="Only these checks, separated by commas: single-head, stairway, no-trace, models-match, orm, lint.",
    )
    group.addoption(
        "--truing-skip", action="append", default=[], metavar="CHECKS", help="Leave these checks out, likewise."
    )
    group.addoption(
        "--truing-scratch-url",
        metavar="URL",
        help="A server to make scratch databases on (else TRUING_SCRATCH_URL, else a private one is started).",
    )
    parser.addini("truing_alembic_config", "Alembic's file, as `truing -c`; else as [tool.truing] says, or looked for.")
    parser.addini("truing_downgrade_floor", "The oldest revision that the checks do not take back; else all are.")


def pytest_configure(config: pytest.Config) -> None:
    """Load the checks, if they are asked for."""
    config.addinivalue_line("markers", "truing: a check that `pytest --truing` adds")
    if config.getoption("truing"):
        from truing.pytest_plugin.session import CheckSession  # noqa: PLC0415 - see above

        config.pluginmanager.register(CheckSession(config), "truing-checks")

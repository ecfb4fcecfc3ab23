"""The fixtures of all tests; each concern has a file of its own."""

from __future__ import annotations

pytest_plugins = ("tests.fix_server", "tests.fix_online", "tests.fix_rbac", "pytester")

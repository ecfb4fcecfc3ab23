"""A run of ``pytest --truing``: its tests, and what its processes share. Registered only where that option is given."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from truing.errors import TruingError
from truing.pytest_plugin.bench import Bench
from truing.pytest_plugin.checks import Check, chosen
from truing.report.clean import clean
from truing.report.console import console
from truing.report.document import Document
from truing.report.terminal import render_full

_FOLDER = "truing_folder"


class CheckSession:
    """The hooks of one process of a run."""

    def __init__(self, config: pytest.Config) -> None:
        """Read the options.

        Raises:
            UsageError: one of them names no check.
        """
        self._config = config
        self._worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        named = config.getini("truing_alembic_config")
        beside = config.inipath.parent if config.inipath else config.rootpath
        self._bench = Bench(
            config.rootpath,
            alembic_config=beside / named if named else None,
            scratch_url=config.getoption("truing_scratch_url"),
            floor=config.getini("truing_downgrade_floor"),
        )
        self._header = ""
        try:
            self._checks = chosen(config.getoption("truing_select"), config.getoption("truing_skip"))
        except TruingError as error:
            raise pytest.UsageError(_said(error)) from None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Find the project and a server before anything else is done: without them there is nothing to check."""
        if self._worker is not None:
            self._bench.shared = Path(self._worker[_FOLDER])
            return
        try:
            self._header = f"truing: {self._bench.project.name}, {self._bench.server}"
        except TruingError as error:
            raise pytest.UsageError(_said(error)) from None
        self._bench.shared = Path(tempfile.mkdtemp(prefix="truing-pytest-"))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist which folder it shares with the others."""
        node.workerinput[_FOLDER] = str(self._bench.shared)

    def pytest_report_header(self) -> list[str]:
        """Say what is checked, and where."""
        return [clean(self._header)] if self._header else []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the checks, before ``-k``, ``-m`` and whoever shuffles look at the tests."""
        root = CheckRoot.from_parent(session, name="truing", nodeid="truing", checks=self._checks, bench=self._bench)
        found = root.collect()
        # They are counted like all others.
        root.ihook.pytest_collectreport(report=pytest.CollectReport(root.nodeid, "passed", None, found))
        items += [each for each in found if isinstance(each, pytest.Item)]

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        self._bench.close()
        if self._worker is None and self._bench.shared is not None:
            shutil.rmtree(self._bench.shared, ignore_errors=True)


class CheckRoot(pytest.Collector):
    """What the checks are listed under."""

    def __init__(self, *, checks: tuple[Check, ...], bench: Bench, **rest: Any) -> None:
        super().__init__(**rest)
        self._checks, self._bench = checks, bench

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """Make a test of each check."""
        return [CheckItem.from_parent(self, name=each.name, check=each, bench=self._bench) for each in self._checks]


class CheckItem(pytest.Item):
    """A check, as a test."""

    def __init__(self, *, check: Check, bench: Bench, **rest: Any) -> None:
        super().__init__(**rest)
        self._check, self._bench = check, bench
        self.add_marker(pytest.mark.truing)
        # With --dist loadgroup one worker gets them all, and so one server does.
        if self.config.pluginmanager.hasplugin("xdist"):
            self.add_marker(pytest.mark.xdist_group("truing"))

    def runtest(self) -> None:
        """Ask, and fail with what there is to say; a traceback through truing would tell nobody anything."""
        answer = self._answer()
        if isinstance(answer, TruingError):
            pytest.fail(f"{self.name} has no answer.\n\n{_said(answer)}", pytrace=False)
        if answer.findings:
            text = _rendered(answer, self.config.get_terminal_writer().fullwidth)
            if answer.verdict != "true":
                pytest.fail(f"{self._check.failure}\n\n{text}", pytrace=False)
            # Below the threshold: shown by -rA or -rP.
            self.add_report_section("call", "truing", text)

    def _answer(self) -> Document | TruingError:
        # Failing within `except` would show where the error comes from as well, which is nothing to the person.
        try:
            return self._check.ask(self._bench)
        except TruingError as error:
            return error

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Name the check in the report."""
        return self.path, None, f"truing {self.name}"


def _rendered(answer: Document, width: int) -> str:
    """Write findings as the command prints them, without what it says about its own run."""
    text = io.StringIO()
    render_full(msgspec.structs.replace(answer, facts={}), console(text, width=max(width, 60)))
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())


def _said(error: TruingError) -> str:
    return clean(str(error), multiline=True)

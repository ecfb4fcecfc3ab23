"""The runner: carries a plan out step by step, goes on where a killed run stopped, and leaves nothing half done.

In flow a change and a planner; out flows the database with the change made, the journal's entry, and events for
whoever listens. A transactional step commits together with its entry in the journal. A step that cannot be
transactional (an index build, a validation) is looked for in the catalog before and after. A rerun never plans anew:
it takes the plan that the journal holds, since the catalog is by then half way between two states.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from truing.changes import AnyChange
from truing.errors import InterruptedRunError, LockBudgetExceededError, OnlineError
from truing.online import events, faults, journal, locking, passes
from truing.online.events import Observer, current_observer
from truing.online.session import Connect, claim, may_replicate, open_session, require_visible
from truing.online.settings import OnlineSettings
from truing.plan import Batches, Concurrent, Locked, Plain, Plan, Settle, Step

Planned = tuple[Plan, dict[str, Any]]
"""A plan, and what the operation's way back needs (kept in the journal)."""

_MAX_RETURNS = 6
"""How often a step that met violating rows may send the run back to the mending step."""

stop_requested = threading.Event()
"""Set by a front end on ctrl-C: every run stops between two batches or steps."""


class Runner:
    """Carries out operations on one database, one after the other, on a connection of its own."""

    def __init__(
        self, connect: Connect, settings: OnlineSettings | None = None, observer: Observer | None = None
    ) -> None:
        self.settings = settings or OnlineSettings()
        self._connect = connect
        self.observe = observer or current_observer.get()
        self.point = faults.from_environment()

    def run(
        self,
        op_id: str,
        change: AnyChange,
        planner: Callable[[psycopg.Connection[Any]], Planned | None],
    ) -> bool:
        """Bring a change about, or go on with it.

        Args:
            op_id: the operation's identity.
            change: what is asked for; a resumed run must ask for the same.
            planner: looks at the catalog and plans, or returns None where nothing is to do. Called only when the
                journal does not hold the operation yet; must not change anything.

        Returns:
            Whether anything had to be done.

        Raises:
            OnlineError: a child of it for each way in which a run can stop; a rerun goes on from there.
        """
        with open_session(self._connect) as connection:
            claim(connection, op_id)
            entry = journal.load(connection, op_id) if journal.exists(connection) else None
            if entry is not None and _only_looked(entry) and entry.spec_hash != journal.spec_hash(change):
                # It stopped at rows that its policy refuses, and nothing was changed: another policy is welcome.
                journal.forget(connection, op_id)
                entry = None
            resumed = entry is not None and not entry.done
            if entry is None or entry.done:
                # What the journal has as done may have been undone by hand since: only the catalog knows.
                planned = _planned(planner, connection, op_id)
                if planned is None:
                    return False
                journal.ensure(connection)
                plan, record = planned
                entry = journal.begin(connection, plan, change, record, _estimate(connection, plan))
                self.point("after planning")
            if entry.spec_hash != journal.spec_hash(change):
                raise OnlineError(
                    f"“{op_id}” was begun with another specification than the revision has now",
                    hint="Restore the revision as it was and run it to its end, or undo it first.",
                )
            _Run(connection, entry, self).carry_out(resumed=resumed)
            return True


class _Run:
    """One operation on its way: the connection, its entry in the journal, and the index of the next step."""

    def __init__(self, connection: psycopg.Connection[Any], entry: journal.Entry, runner: Runner) -> None:
        self.connection, self.entry, self.plan = connection, entry, entry.plan
        self.settings, self.observe, self.point = runner.settings, runner.observe, runner.point
        self.index, self.cursor, self.returns = entry.step, entry.cursor, 0
        self.quiet = ""

    def carry_out(self, *, resumed: bool) -> None:
        """Run every step that is left, then close the entry."""
        connection, plan, began = self.connection, self.plan, time.monotonic()
        self.observe(events.PlanStarted(plan, resumed))
        connection.execute("UPDATE _truing.op SET attempts = attempts + 1 WHERE op_id = %s", (plan.op_id,))
        require_visible(connection, plan.table.sql)
        if may_replicate(connection):
            self.quiet = "SET LOCAL session_replication_role = replica;"
        while self.index < len(plan.steps):
            _stop_if_asked()
            step = plan.steps[self.index]
            self.observe(events.StepStarted(plan, step, self.index + 1))
            step_began = time.monotonic()
            try:
                held = self._step(step)
            except psycopg.IntegrityError as error:
                self._go_back(step, error)
                continue
            except psycopg.Error as error:
                self._fail(step, str(error))
                raise OnlineError(
                    f"“{step.title}” failed: {error.diag.message_primary or error}",
                    hint="What was done so far is kept. Mend the cause, then run the same command again.",
                ) from error
            except OnlineError as error:
                self._fail(step, error.message)
                raise
            self.observe(events.StepFinished(plan, step, time.monotonic() - step_began, held))
            self.index, self.cursor = self.index + 1, None
        connection.execute(f"BEGIN; {journal.finish_sql(plan)}; COMMIT")
        self.observe(events.PlanFinished(plan, time.monotonic() - began))

    def _go_back(self, step: Step, error: psycopg.IntegrityError) -> None:
        """Go back to the step that mends rows, when a later one met rows that break it."""
        self.returns += 1
        if not step.on_violation or self.returns > _MAX_RETURNS:
            self._fail(step, str(error))
            detail = f" {error.diag.message_detail}" if error.diag.message_detail else ""
            raise OnlineError(
                f"“{step.title}” met rows that break it: {error.diag.message_primary}{detail}",
                hint="`truing audit` lists them. Settle them and run the same command again.",
            ) from error
        self.index = next(i for i, other in enumerate(self.plan.steps) if other.id == step.on_violation)
        self.cursor = None
        self.connection.execute(journal.advance_sql(self.plan.op_id, self.index))

    def _step(self, step: Step) -> float:
        """Run one step and write its end to the journal; return for how long strong locks were held (ms)."""
        connection, advance = self.connection, journal.advance_sql(self.entry.op_id, self.index + 1)
        self.point(f"before {step.id}")
        held = 0.0
        match step.action:
            case Locked() as action:
                held = locking.run_locked(
                    connection,
                    action.locks,
                    (*action.statements, advance),
                    self.settings,
                    prelude=action.prelude,
                    on_attempt=lambda attempt: self._lock_tried(step, attempt),
                    point=self.point,
                )
            case Plain(statements=statements) as action:
                quiet = "" if action.loud else self.quiet
                transaction = f"BEGIN; {quiet} {'; '.join((*statements, advance))}; COMMIT"
                passes.retry(connection, transaction, point=self.point)
            case Concurrent() as action:
                self._concurrent(step, action)
                connection.execute(advance)
            case Batches() as action:
                self._pass(step, action)
                connection.execute(advance)
            case Settle() as action:
                quiet = "" if action.loud else self.quiet
                passes.settle(connection, action, self.settings, quiet_sql=quiet, point=self.point)
                connection.execute(advance)
        self.point(f"after {step.id}")
        journal.note(connection, self.plan.op_id, step.id, "finished", {"lock_held_ms": round(held, 2)})
        return held

    def _pass(self, step: Step, action: Batches) -> None:
        entry, total = self.entry, max(self.entry.rows_total, 1)

        def on_batch(done: int, milliseconds: float) -> None:
            self.observe(events.BatchDone(self.plan, step, min(done, total), total, milliseconds))
            _stop_if_asked()

        work = passes.Pass(self.connection, entry.op_id, action, self.settings, quiet_sql=self.quiet, point=self.point)
        work.run(self.cursor, entry.rows_done if self.cursor is not None else 0, total, on_batch)

    def _concurrent(self, step: Step, action: Concurrent, tries: int = 3) -> None:
        for number in range(1, tries + 1):
            if step.probe and _true(self.connection, step.probe):
                return
            self._clean_up(action)
            try:
                self.connection.execute(f"SET lock_timeout = '{action.lock_timeout_ms}ms'")
                self.point(f"starting {step.id}")
                self.connection.execute(action.statement)
            except (*locking.RETRIABLE, psycopg.errors.ObjectInUse) as error:
                if number == tries:
                    raise LockBudgetExceededError(
                        f"“{step.title}” could not get its lock in {tries} tries of"
                        f" {action.lock_timeout_ms / 1000:g} s",
                        hint="`truing status` names the sessions in the way. Run the same command again to go on.",
                    ) from error
            except psycopg.IntegrityError:
                # A unique index that could not be built may go on refusing the application's writes.
                self._clean_up(action)
                raise
            finally:
                with suppress(psycopg.OperationalError):
                    self.connection.execute("SET lock_timeout = '15s'")
            if not step.probe:
                return
        if not _true(self.connection, step.probe):
            raise OnlineError(f"“{step.title}” ran, but the catalog does not show its result")

    def _clean_up(self, action: Concurrent) -> None:
        """Remove what an interrupted or refused try has left."""
        if action.leftover and _true(self.connection, action.leftover):
            for statement in action.cleanup:
                self.connection.execute(statement)

    def _lock_tried(self, step: Step, attempt: locking.Attempt) -> None:
        self.observe(events.LockTried(self.plan, step, attempt.number, attempt.pause_s, attempt.blockers))
        journal.note(self.connection, self.plan.op_id, step.id, "lock tried", {"blockers": attempt.blockers})
        _stop_if_asked()

    def _fail(self, step: Step, message: str) -> None:
        """Keep why the run stops, as far as the server still answers."""
        with suppress(psycopg.Error):
            if self.connection.info.transaction_status:
                self.connection.execute("ROLLBACK")
            journal.fail(self.connection, self.plan.op_id, f"{step.title}: {message}")


def _planned(
    planner: Callable[[psycopg.Connection[Any]], Planned | None], connection: psycopg.Connection[Any], op_id: str
) -> Planned | None:
    try:
        return planner(connection)
    except psycopg.Error as error:
        # What a revision says in SQL is tried on the way: a type, a default, a condition.
        raise OnlineError(
            f"“{op_id}” cannot be planned: {error.diag.message_primary or error}",
            hint="Nothing was changed. Mend the revision, or what the message names, and run the same command again.",
        ) from error


def _only_looked(entry: journal.Entry) -> bool:
    """Tell whether an operation has not come past its first look for rows that stop it."""
    first = entry.plan.steps[entry.step].action if entry.step == 0 and not entry.done else None
    return isinstance(first, Settle) and bool(first.refusal)


def _stop_if_asked() -> None:
    if stop_requested.is_set():
        raise InterruptedRunError


def _true(connection: psycopg.Connection[Any], query: str) -> bool:
    row = connection.execute(query).fetchone()
    return bool(row and row[0])


def _estimate(connection: psycopg.Connection[Any], plan: Plan) -> int:
    """Estimate the rows of the plan's table: from statistics, or by counting where there are none yet."""
    if not any(isinstance(step.action, Batches) for step in plan.steps):
        return 0
    row = connection.execute(
        "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)", (plan.table.sql,)
    ).fetchone()
    if row and row[0] > 0:
        return int(row[0])
    row = connection.execute(f"SELECT count(*) FROM {plan.table.sql}").fetchone()
    return int(row[0]) if row else 0

"""One cycle of a run: migrations, price lists, reports, freshness, alerts."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString

import psycopg

from chat_telemetry._cli.alerts.announced import News, news
from chat_telemetry._cli.alerts.evaluation import Alert, compile_alerts, evaluate
from chat_telemetry._cli.alerts.webhook import NotPosted, message, post
from chat_telemetry._cli.dashboard import make_page
from chat_telemetry._cli.dashboard.writing import write
from chat_telemetry._cli.dbt_runner import DbtProcess
from chat_telemetry._cli.dbt_settings import DbtSettings
from chat_telemetry._cli.errors import Busy, CommandError, ExitCode, NotReady
from chat_telemetry._cli.migrations import pending_migrations
from chat_telemetry._cli.options import transaction
from chat_telemetry._cli.run.lock import only_one
from chat_telemetry._cli.run.seeds import are_loaded
from chat_telemetry._cli.run.state import State, read_state
from chat_telemetry._cli.run.step_log import Step, StepLog
from chat_telemetry._cli.run.stopping import Stop
from chat_telemetry._cli.sql_project import project_fingerprint
from chat_telemetry._cli.tables import number

NOW: LiteralString = "select pg_catalog.now()"
FRESHNESS: LiteralString = """
    select
        count(*),
        string_agg(c.relname, ', ' order by c.relname) filter (where f.refreshed_at is null or f.refreshed_at < %s),
        max(f.newest_request_at)::timestamptz(0),
        (select chat_rollups.pending_changes())
    from pg_class as c
    inner join chat_rollups.report_state as s on c.relname = s.report
    left join chat_reports.report_freshness as f on c.relname = f.report
    where c.relnamespace = 'chat_reports'::regnamespace and c.relkind = 'm'
"""
CONFIRM: LiteralString = "select chat_rollups.confirm_reports()"


class Cycles:
    """Runs cycles, and keeps between them what the next one can use: the parsed project, and what the last one saw."""

    def __init__(
        self, settings: DbtSettings, log: StepLog, stop: Stop, webhook: str | None, dashboard: Path | None
    ) -> None:
        self._settings, self._log, self._stop, self._webhook = settings, log, stop, webhook
        self._dashboard = dashboard
        self._dbt: DbtProcess | None = None
        self._alerts: list[Alert] | None = None
        self._last: State | None = None
        self._project = ""

    def __enter__(self) -> Cycles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._dbt is not None:
            self._dbt.__exit__(kind, error, traceback)

    def run(self) -> None:
        """One cycle. If nothing changed since the last one, only the alerts are evaluated."""
        with (
            self._log.step("connection", is_silent=True),
            self._settings.connection.connected() as connection,
            self._settings.connection.connected() as holder,
        ):
            if self._is_up_to_date(connection):
                with suppress(Busy), only_one(holder):
                    with self._log.step("reports", is_silent=True):
                        connection.execute(CONFIRM)
                    self._evaluate_alerts(connection)
                    self._write_dashboard(connection, is_silent=True)
                return
            with self._log.step("migrations") as step:
                _check_migrations(connection, step)
            if not step.has_failed:
                with self._log.step("lock", is_silent=True), only_one(holder):
                    self._run_everything(connection)

    def _is_up_to_date(self, connection: psycopg.Connection) -> bool:
        return (
            self._last is not None and self._project == project_fingerprint() and self._last == read_state(connection)
        )

    def _run_everything(self, connection: psycopg.Connection) -> None:
        self._last = None
        self._read_project()
        self._last = self._run_dbt(connection)
        if not self._stop.is_requested:
            self._evaluate_alerts(connection)
            self._write_dashboard(connection)

    def _write_dashboard(self, connection: psycopg.Connection, *, is_silent: bool = False) -> None:
        """Also after a failure: the page says which reports are late."""
        if self._dashboard is None:
            return
        with self._log.step("dashboard", is_silent=is_silent) as step:
            page = make_page(connection, as_login=True)
            write(page, self._dashboard)
            if not is_silent:
                step.say(f"{self._dashboard}, {len(page) / 1000:,.0f} kB")

    def _read_project(self) -> None:
        """Forget what is known about another version of the project, or about a dbt that failed."""
        project = project_fingerprint()
        if self._dbt is None or self._project != project:
            if self._dbt is not None:
                self._dbt.close()
            self._dbt = self._settings.start()
            self._alerts, self._project = None, project

    def _run_dbt(self, connection: psycopg.Connection) -> State | None:
        """Returns what the next cycle compares with, or None if a step failed or was left out."""
        assert self._dbt is not None  # noqa: S101
        started = connection.execute(NOW).fetchone()
        with self._log.step("seeds") as seeds:
            _load_seeds(connection, self._dbt, seeds)
        if self._stop.is_requested:
            return None
        with self._log.step("dbt run") as run:
            before = read_state(connection)
            finished = self._dbt.run("run", notify=run.show)
            # What the run read, and what it left. What changed meanwhile differs from it.
            state = State(has_changes=False, inputs=before.inputs, results=read_state(connection).results)
            run.say(f"{number(finished.nodes, 'model')}, {finished.messages.get('drained_changes', 'nothing drained')}")
        if self._stop.is_requested:
            return None
        with self._log.step("freshness") as freshness:
            _check_freshness(connection, started, freshness)
        if seeds.has_failed or run.has_failed or freshness.has_failed:
            self._dbt.close()
            self._dbt = None
            return None
        return state

    def _evaluate_alerts(self, connection: psycopg.Connection) -> None:
        with self._log.step("alerts", is_silent=self._alerts is not None) as step:
            if self._alerts is None:
                self._read_project()
                assert self._dbt is not None  # noqa: S101
                self._alerts = compile_alerts(self._dbt)
            evaluation = evaluate(connection, self._alerts)
            problems = [evaluation.not_evaluated]
            try:
                with news(connection, evaluation) as found:
                    self._announce(found, connection.info.dbname, step)
            except NotPosted as error:  # the next cycle announces it again
                problems.append(str(error))
            if any(problems):
                raise CommandError("; ".join(filter(None, problems)))
            if not step.detail and not step.is_silent:
                over = f"{number(self._alerts, 'alert')}, {len(evaluation.breaches)} over the bound"
                step.say(over if self._alerts else "none is switched on")

    def _announce(self, found: News, database: str, step: Step) -> None:
        """Raises NotPosted."""
        if found.began:
            self._log.note(ExitCode.ATTENTION)
        if found.began or found.ended:
            body = message(database, found.began, found.ended)
            step.announce("; ".join(body["text"].splitlines()[1:]), began=body["began"], ended=body["ended"])
            if self._webhook:
                post(self._webhook, body)


def _check_migrations(connection: psycopg.Connection, step: Step) -> None:
    pending = pending_migrations(connection)
    if pending:
        raise NotReady(f"{number(pending, 'migration')} pending: run `chat-telemetry migrate`")
    step.say("all applied" if pending is not None else "another tool applied them")


def _load_seeds(connection: psycopg.Connection, dbt: DbtProcess, step: Step) -> None:
    if are_loaded(connection):
        step.say("up to date")
        return
    finished = dbt.run("seed", notify=step.show)
    step.say(f"{number(finished.nodes, 'list')} loaded")


def _check_freshness(connection: psycopg.Connection, started: tuple[Any, ...] | None, step: Step) -> None:
    with transaction(connection):
        row = connection.execute(FRESHNESS, started).fetchone()
    count, old, newest, pending = row or (0, None, None, 0)
    if old or not count:
        raise CommandError(f"not refreshed: {old or 'any report'}")
    newest_request = f"the newest request is from {newest}" if newest else "no request yet"
    step.say(f"{number(count, 'report')}, {newest_request}, {number(pending, 'change')} pending")

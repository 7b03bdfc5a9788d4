"""The tests that fit a file: first those that are quick and most likely to fail on a mutant of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatch

LOADER = "loader/chat_telemetry/"
# 200 s if none of them fails. The dbt unit tests run at the end of test_exactness.
WHAT_REPORTS_SHOW = (
    "tests/reports/test_exactness.py",
    "tests/reports/test_odd_rows.py",
    "tests/reports/test_data_tests.py",
    "tests/reports/test_views.py",
    "tests/reports/test_plans.py",
    "tests/reports/test_erasure.py",
    "tests/reports/test_refresh.py",
)
RUN_FUNCTIONS = (
    "tests/reports/test_rollups.py",
    "tests/reports/test_access.py",
    "tests/reports/test_exactness.py",
    "tests/reports/history",
    "tests/reports/test_refresh.py",
    "tests/reports/test_runners.py",
)
CREATION_OF_REPORTS = (
    "tests/reports/test_access.py",
    "tests/reports/test_freshness.py",
    "tests/reports/test_refresh.py",
    "tests/reports/test_materializations.py",
)
# For each pattern that a path matches, in this order, test files and folders. Before them all comes the module's own
# test file, the one with its name.
FITTING: dict[str, tuple[str, ...]] = {
    # The loader: neighbours, then what goes through all of it. 90 s.
    f"{LOADER}_delivery/locked_files.py": ("tests/loader/delivery/test_segment.py",),
    f"{LOADER}_delivery/*": ("tests/loader/delivery",),
    f"{LOADER}_observe/*": ("tests/loader/observe",),
    f"{LOADER}integrations/*": ("tests/loader/integrations",),
    f"{LOADER}_conversions.py": ("tests/loader/test_encoding.py", "tests/loader/test_record.py"),
    f"{LOADER}_[!c]*": ("tests/loader", "tests/cli/test_load.py", "tests/cli/test_replay.py"),
    f"{LOADER}_client.py": ("tests/loader",),
    f"{LOADER}_settings.py": ("tests/test_documentation.py",),
    f"{LOADER}__init__.py": ("tests/loader",),
    f"{LOADER}__main__.py": ("tests/test_public_surface.py",),
    # The command line: 40 s, the demo 80 s.
    f"{LOADER}_cli/*postgres*.py": (
        "tests/cli/test_demo_server.py",
        "tests/cli/test_demo.py",
        "tests/loader/delivery/test_thread.py",
    ),
    f"{LOADER}_cli/demo/*": (
        "tests/cli/test_generator.py",
        "tests/cli/test_demo_dbt.py",
        "tests/cli/test_demo_server.py",
        "tests/cli/test_demo.py",
    ),
    f"{LOADER}_cli/dbt_*.py": (
        "tests/cli/test_demo_dbt.py",
        "tests/cli/test_dbt_connection.py",
        "tests/cli/test_check.py",
        "tests/cli/test_run.py",
        "tests/cli/test_erase_dbt.py",
    ),
    f"{LOADER}_cli/run/*": ("tests/cli/test_run.py",),
    f"{LOADER}_cli/durations.py": ("tests/cli/test_run.py",),
    f"{LOADER}_cli/alerts/*": (
        "tests/cli/test_breach.py",
        "tests/cli/test_check.py",
        "tests/cli/test_run.py",
        "tests/reports/test_alerts.py",
    ),
    f"{LOADER}_cli/journal_directory.py": ("tests/cli/test_replay.py", "tests/cli/test_erase_journals.py"),
    f"{LOADER}_cli/erase/*": (
        "tests/cli/test_erase_journals.py",
        "tests/cli/test_erase.py",
        "tests/cli/test_erase_dbt.py",
        "tests/reports/test_erasure.py",
    ),
    f"{LOADER}_cli/price*.py": ("tests/cli/test_prices.py",),
    f"{LOADER}_cli/logged_models.py": ("tests/cli/test_prices.py",),
    f"{LOADER}_cli/*": (
        "tests/cli/test_main.py",
        "tests/cli/test_load.py",
        "tests/cli/test_replay.py",
        "tests/cli/test_migrate.py",
        "tests/cli/test_report.py",
    ),
    f"{LOADER}_cli/migrations/*.py": (
        "tests/migrations/test_apply.py",
        "tests/migrations/test_adoption_beside_chat.py",
        "tests/migrations/test_missing_rights.py",
        "tests/migrations/test_rights_of_an_existing_log.py",
        "tests/migrations/test_sessions.py",
    ),
    # A migration: tests of its objects and privileges take 90 s, tests of dbt runs take minutes.
    "migrations/*.rollback.sql": ("tests/migrations/test_apply.py",),
    "migrations/*_sql_fingerprint_trigger.sql": ("tests/migrations/test_sql_functions.py",),
    "migrations/*_sql_tokens.sql": ("tests/shapes",),
    "migrations/*_sql_shape.sql": ("tests/shapes",),
    "migrations/*_change_feed.sql": ("tests/migrations/test_nullable.py", "tests/migrations/test_change_feed.py"),
    "migrations/*_create_rollups.sql": (
        "tests/migrations/test_nullable.py",
        "tests/reports/test_rollups.py",
        "tests/reports/test_exactness.py",
    ),
    "migrations/*_create_run_checks.sql": RUN_FUNCTIONS,
    "migrations/*_create_drain.sql": RUN_FUNCTIONS,
    "migrations/*_create_fill.sql": RUN_FUNCTIONS,
    "migrations/*_create_report_freshness.sql": CREATION_OF_REPORTS,
    "migrations/*_create_report_parts.sql": CREATION_OF_REPORTS,
    "migrations/*_create_make_report.sql": CREATION_OF_REPORTS,
    "migrations/*": ("tests/migrations", "tests/reports/test_rollups.py", "tests/reports/test_access.py"),
    # The dbt project.
    "models/*": WHAT_REPORTS_SHOW,
    "models/rollups/*": ("tests/reports/test_rollups.py",),
    "macros/counting/*": (*WHAT_REPORTS_SHOW, "tests/reports/test_rollups.py", "tests/reports/test_runners.py"),
    "macros/days/*": (*WHAT_REPORTS_SHOW, "tests/reports/test_periods.py", "tests/reports/test_freshness.py"),
    "macros/percentiles/*": WHAT_REPORTS_SHOW,
    "macros/pricing/*": WHAT_REPORTS_SHOW,
    "macros/materializations/*": (
        "tests/reports/test_rollups.py",
        "tests/reports/test_access.py",
        "tests/reports/test_refresh.py",
        "tests/reports/test_materializations.py",
        "tests/reports/test_surroundings.py",
        "tests/reports/test_runners.py",
    ),
    "macros/generate_schema_name.sql": ("tests/reports/test_package.py",),
    "macros/generic_tests/*": ("tests/reports/test_data_tests.py", "tests/reports/test_reconciliation.py"),
    "macros/alerts/*": ("tests/reports/test_alerts.py",),
    "tests/dbt/alerts/*": ("tests/reports/test_alerts.py",),
    "macros/reconcile/*": ("tests/reports/test_reconciliation.py",),
    "tests/dbt/*": ("tests/reports/test_data_tests.py", "tests/reports/test_reconciliation.py"),
}


def fitting_tests(path: str, paths: Sequence[str]) -> list[str]:
    """The test files for the file at `path`, out of the project's `paths`."""
    return list(dict.fromkeys(_files(path, paths)))


def _files(path: str, paths: Sequence[str]) -> Iterator[str]:
    yield from (test for test in paths if test == _mirror(path))
    for pattern, places in FITTING.items():
        if fnmatch(path, pattern):
            for place in places:
                yield from (test for test in paths if test == place or fnmatch(test, f"{place}/*test_*.py"))


def _mirror(path: str) -> str:
    """`tests/loader/observe/test_chat.py` for `loader/chat_telemetry/_observe/chat.py`."""
    *folders, name = [part.removeprefix("_") for part in path.removeprefix(LOADER).split("/")]
    area = [] if folders[:1] == ["cli"] else ["loader"]
    return "/".join(["tests", *area, *folders, f"test_{name}"])

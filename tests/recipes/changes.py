"""The changes that the recipes are walked with: a column of the log, an eighth report, a new provider."""

from __future__ import annotations

import json

from tests.recipes.recipe import Edit

COLUMN = "prompt_version"
# A migration has its own rollback. Its name is the one placeholder in the checklists.
MIGRATION = "migrations/NEW.sql"
COLUMN_COMMENT = "The version of the prompt that wrote the SQL."

ADD_COLUMN = [
    Edit(
        MIGRATION,
        None,
        f"""
            set lock_timeout = '5s';
            alter table public.chat_telemetry_log add column if not exists {COLUMN} text;
            comment on column public.chat_telemetry_log.{COLUMN} is '{COLUMN_COMMENT}';
        """,
    ),
    Edit(
        "loader/chat_telemetry/_record.py",
        "    response_cached_tokens: Integer | None = None\n",
        f"    {COLUMN}: str | None = None\n",
    ),
    Edit("tests/migrations/test_apply.py", '    "response_cached_tokens",\n', f'    "{COLUMN}",\n'),
    Edit(
        "models/sources.yml",
        "            description: The part of response_input_tokens that the provider read from its cache.\n",
        f"          - name: {COLUMN}\n            description: {COLUMN_COMMENT}\n",
    ),
    Edit("docs/loader.md", "of `response_id`,", f" `{COLUMN}`,"),
]

REPORT = "daily_active_users"
REPORT_COLUMNS = ["day", "user_count"]

ADD_REPORT = [
    Edit(
        f"models/reports/{REPORT}.sql",
        None,
        """-- How many users asked something on each day?
select
    day,
    count(distinct user_id) as user_count
from {{ ref('daily_users') }}
where day between {{ first_day() }} and {{ as_of() }}
group by day
""",
    ),
    Edit(
        f"models/reports/{REPORT}.yml",
        None,
        f"""version: 2

models:
  - name: {REPORT}
    description: How many users asked something. One row per day with chat requests.
    config:
      indexes:
        - columns: [day]
          unique: true
    columns:
      - name: day
        description: "{{{{ doc('day') }}}}"
        data_tests: [not_null, unique]
      - name: user_count
        description: Users of the day. Never sum it, because a user counts on each of their days.
        data_tests: [not_null]
""",
    ),
    Edit("models/exposures.yml", "    depends_on: &reports\n", f"      - ref('{REPORT}')\n"),
    Edit(
        f"tests/reports/reference/{REPORT}.sql",
        None,
        "select day, count(distinct user_id) as user_count from requests group by day\n",
    ),
    Edit("tests/reports/contract.py", "GRAIN = {\n", f'    "{REPORT}": ["day"],\n'),
    Edit("tests/reports/contract.py", "MEASURES = {\n", f'    "{REPORT}": ["user_count"],\n'),
    Edit(
        "loader/chat_telemetry/_cli/report.py",
        "REPORTS = {\n",
        f'    "{REPORT}": Layout("day desc", ("day", "user_count")),\n',
    ),
    Edit(
        "docs/reports.md",
        "has the model or any of its token counts.\n",
        f"""
## {REPORT}

**Question.** How many users asked something?

<!-- The columns of {REPORT}, written by make report-columns. -->
<!-- End of the columns. -->
""",
    ),
    Edit(
        "README.md",
        "| --- | --- |\n",
        f"| [`{REPORT}`](docs/reports.md#{REPORT}) | How many users asked something? |\n",
    ),
]

API = "example"

ADD_PROVIDER = [
    Edit(
        f"tests/wire/{API}.json",
        None,
        json.dumps(
            {
                "model": "example-1",
                "id": "call-1",
                "usage": {"tokens_in": 900, "tokens_in_cache": 100, "tokens_out": 7},
            }
        ),
    ),
    Edit("tests/wire/expected.json", "{\n", f'    "{API}": ["example-1", "call-1", 1000, 7, 100],\n'),
    Edit(
        "loader/chat_telemetry/_observe/usage_fields.py",
        "USAGE_FIELDS = (\n",
        f'    UsageFields("{API}", ("tokens_out",), ("tokens_in", "tokens_in_cache"), ("tokens_out",), '
        '("tokens_in_cache",)),\n',
    ),
    Edit(
        "docs/chat-code.md",
        "| shape | input, cached tokens included | output | cached |\n| --- | --- | --- | --- |\n",
        "| Example | `tokens_in` + `tokens_in_cache` | `tokens_out` | `tokens_in_cache` |\n",
    ),
]

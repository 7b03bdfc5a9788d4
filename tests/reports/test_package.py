"""The project as a package of another dbt project, and with other models in a clone: those behave as in stock dbt."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from chat_telemetry._cli.sql_project import project_directory
from tests.conftest import SERVERS, Database, Server
from tests.dbt_project import NO_TESTS, NO_UNIT_TESTS, DbtProject, failures, manifest, results
from tests.reports.random_log import fill
from tests.reports.scenes import AS_OF, DBT, assert_exact, edit, execute, run_alone, value

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

ACME = {
    "dbt_project.yml": """
name: acme
version: "1.0"
profile: acme
models:
  acme:
    +grants: {select: [telemetry_reader]}
    marts: {+schema: marts}
seeds:
  acme: {+schema: raw}
""",
    "profiles.yml": """
acme:
  target: prod
  outputs:
    prod:
      type: postgres
      host: "{{ env_var('CHAT_TELEMETRY_DBT_HOST') }}"
      port: "{{ env_var('CHAT_TELEMETRY_DBT_PORT') | as_number }}"
      user: "{{ env_var('CHAT_TELEMETRY_DBT_USER') }}"
      pass: "{{ env_var('DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD') }}"
      dbname: "{{ env_var('CHAT_TELEMETRY_DBT_DATABASE') }}"
      schema: analytics
      threads: 2
""",
    "models/orders.sql": "{{ config(materialized='table') }} select * from {{ ref('raw_orders') }}",
    "models/recent.sql": "select * from {{ ref('orders') }} where id > 1",
    "models/grown.sql": """
{{ config(materialized='incremental', unique_key='id') }}
select * from {{ ref('orders') }} {% if is_incremental() %} where id > 1 {% endif %}
""",
    "models/marts/totals.sql": """
{{ config(materialized='materialized_view', indexes=[{'columns': ['n'], 'unique': true}]) }}
select count(*) as n from {{ ref('orders') }}
""",
    "seeds/raw_orders.csv": "id,amount\n1,10\n2,20\n",
}
PACKAGES = "packages:\n  - local: {}\n"
THEIRS = """
select
    c.oid::regclass::text, c.relkind::text, c.relacl::text, obj_description(c.oid, 'pg_class'),
    case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
    array(
        select format('%s %s', a.attname, a.atttypid::regtype) from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum
    ),
    array(select i.indkey::text || i.indisunique from pg_index as i where i.indrelid = c.oid order by 1)
from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
where (n.nspname like 'analytics%' or n.nspname = 'raw') and c.relkind in ('r', 'v', 'm')
order by 1
"""


@pytest.fixture
def login(postgres: Server) -> Iterator[str]:
    """Acme's login: a member of telemetry_transformer that may create schemas."""
    postgres.template()  # creates the roles
    name = f"acme_{os.getpid()}"
    postgres.execute(sql.SQL("create role {} login in role telemetry_transformer").format(sql.Identifier(name)))
    yield name
    postgres.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@pytest.fixture
def acme(postgres: Server, login: str, tmp_path: Path) -> Iterator[DbtProject]:
    """Acme's project with chat_telemetry as a package, on a migrated database."""
    project = acme_project(postgres.create_database(postgres.template()), login, tmp_path / "acme")
    install_package(project)
    yield project
    postgres.drop_database(project.database.name)


@pytest.fixture
def acme_alone(postgres: Server, login: str, tmp_path: Path) -> Iterator[DbtProject]:
    """Acme's project without the package, on a database without the migrations."""
    project = acme_project(postgres.create_database(), login, tmp_path / "alone")
    yield project
    postgres.drop_database(project.database.name)


def acme_project(database: Database, login: str, directory: Path) -> DbtProject:
    for name, text in ACME.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text, encoding="utf-8")
    project = DbtProject(database, directory, directory)
    execute(project, f"grant create on database {database.name} to {login}")
    return project


def install_package(project: DbtProject) -> None:
    """Add the package to packages.yml and run `dbt deps`."""
    (project.directory / "packages.yml").write_text(PACKAGES.format(project_directory()), encoding="utf-8")
    directory = str(project.directory)
    said = run_alone(
        *(DBT, "deps", "--project-dir", directory, "--profiles-dir", directory), environment=project.environment()
    )
    assert said.returncode == 0, said.stdout


def theirs(project: DbtProject) -> list[tuple[Any, ...]]:
    """The definitions and rows in Acme's schemas."""
    with project.database.connect() as connection:
        relations = connection.execute(THEIRS).fetchall()
        return [(*row, *connection.execute(f"select * from {row[0]} order by 1").fetchall()) for row in relations]


def test_the_package_builds_in_another_project(acme: DbtProject, login: str) -> None:
    fill(acme.database, 1, 300, dt.date.fromisoformat(AS_OF), "UTC")
    acme.run("build", user=login, report_as_of=AS_OF)
    assert_exact(acme)
    assert value(acme, "select owner from chat_rollups.progress where name = 'drained_changes'") == "analytics"
    execute(acme, "delete from public.chat_telemetry_log where ttfb_ms < 5000")
    acme.run("run", user=login, report_as_of=AS_OF)
    assert_exact(acme)
    assert value(acme, "select count(*) from pg_namespace where nspname like '%\\_chat\\_%'") == 0


def test_acmes_nodes_are_the_same_as_without_the_package(acme: DbtProject, acme_alone: DbtProject, login: str) -> None:
    """As in stock dbt, a plain run does not apply a changed query, and a full refresh drops."""
    for project in (acme, acme_alone):
        project.run("build", *NO_TESTS, user=login)
    assert theirs(acme) == theirs(acme_alone) != []
    for project in (acme, acme_alone):
        edit(project, "models/marts/totals.sql", "count(*)", "count(*) + 1")
        edit(project, "models/recent.sql", "where id > 1", "")
        project.run("run", user=login)
    assert theirs(acme) == theirs(acme_alone)
    for project in (acme, acme_alone):
        edit(project, "seeds/raw_orders.csv", "id,amount\n1,10\n2,20", "id,amount,note\n1,10,x\n2,20,y\n3,30,z")
        edit(project, "models/orders.sql", "materialized='table'", "materialized='view'")
        project.run("build", "--full-refresh", *NO_TESTS, user=login)
    assert theirs(acme) == theirs(acme_alone)


def test_stock_dbt_refuses_the_same_with_and_without_the_package(
    acme: DbtProject, acme_alone: DbtProject, login: str
) -> None:
    said = []
    for project in (acme, acme_alone):
        project.run("build", *NO_TESTS, user=login)
        edit(project, "seeds/raw_orders.csv", "id,amount\n1,10\n2,20", "id,amount,note\n1,10,x\n2,20,y")
        outcome = project.invoke("seed", user=login)
        said.append([(r.node.name, str(r.status)) for r in results(outcome) if r.node.package_name == "acme"])
    assert said[0] == said[1]
    assert theirs(acme) == theirs(acme_alone)


def test_a_run_of_acmes_models_runs_nothing_of_the_package(acme_alone: DbtProject, login: str) -> None:
    """Models of acme do not need the migrations."""
    install_package(acme_alone)
    for arguments in (["seed", "--select", "acme"], ["run", "--select", "acme"], ["run", "--select", "orders+"]):
        outcome = acme_alone.run(*arguments, user=login)
        assert {r.node.package_name for r in results(outcome)} == {"acme"}
    assert value(acme_alone, "select count(*) from pg_namespace where nspname like '%chat%'") == 0


def test_a_model_of_acme_may_ref_a_report_and_no_rollup(acme: DbtProject, login: str) -> None:
    model = acme.directory / "models" / "spending.sql"
    model.write_text("select * from {{ ref('chat_telemetry', 'token_cost') }}")
    acme.run("parse", user=login)
    model.write_text("select * from {{ ref('chat_telemetry', 'daily_requests') }}")
    said = failures(acme.invoke("parse", user=login))
    assert "daily_requests, which is not allowed because the referenced node is protected" in said


def test_no_macro_of_the_package_has_the_name_of_a_macro_of_dbt(acme: DbtProject, login: str) -> None:
    """The exception is generate_schema_name, which dbt calls only for the nodes of the package."""
    macros = manifest(acme.run("parse", user=login)).macros.values()
    ours = {macro.name for macro in macros if macro.package_name == "chat_telemetry"}
    dbts = {macro.name for macro in macros if macro.package_name in ("dbt", "dbt_postgres")}
    assert len(ours) > 20
    assert len(dbts) > 200
    assert ours & {name.split("__", 1)[-1] for name in dbts} == {"generate_schema_name"}
    assert [name for name in ours if name.startswith(("default__", "postgres__"))] == []
    assert {name for name in ours if name.startswith("materialization_")} == {
        f"materialization_{name}_postgres" for name in ("chat_drain", "chat_report", "chat_rollup")
    }


def test_the_package_has_no_hooks(acme: DbtProject, login: str) -> None:
    nodes = manifest(acme.run("parse", user=login)).nodes.values()
    made = [node for node in nodes if node.resource_type in ("model", "seed")]
    hooked = {node.name for node in made if node.config.pre_hook or node.config.post_hook}
    assert hooked == {"token_prices", "model_aliases"}
    assert [node.name for node in nodes if node.resource_type == "operation"] == []


def test_a_model_added_to_a_clone_is_named_and_built_as_in_stock_dbt(ours: DbtProject) -> None:
    execute(ours, f"grant create on database {ours.database.name} to telemetry_transformer")
    edit(
        ours,
        "dbt_project.yml",
        "models:\n  chat_telemetry:\n",
        "models:\n  chat_telemetry:\n    own:\n      +schema: marts\n",
    )
    edit(ours, "dbt_project.yml", "seeds:\n  chat_telemetry:\n", "seeds:\n  chat_telemetry:\n    own: {+schema: raw}\n")
    for folder in ("models", "seeds"):
        (ours.directory / folder / "own").mkdir()
    model = ours.directory / "models" / "own" / "spending.sql"
    seed = ours.directory / "seeds" / "own" / "budget.csv"
    report = "select sum(cost_usd) as cost_usd from {{ ref('token_cost') }} cross join {{ ref('budget') }}"
    model.write_text("{{ config(materialized='table') }} " + report)
    seed.write_text("usd\n100\n")
    ours.run("run", "--select", "drained_changes", report_as_of=AS_OF)
    ours.run("build", *NO_UNIT_TESTS, report_as_of=AS_OF)
    kind = "select relkind::text from pg_class where oid = to_regclass('chat_telemetry_marts.spending')"
    assert value(ours, kind) == "r"
    assert value(ours, "select usd from chat_telemetry_raw.budget") == 100

    model.write_text("{{ config(materialized='materialized_view') }} " + report)
    seed.write_text("usd,team\n100,us\n")
    ours.run("build", "--full-refresh", *NO_UNIT_TESTS, report_as_of=AS_OF)
    assert value(ours, kind) == "m"
    assert value(ours, "select team from chat_telemetry_raw.budget") == "us"
    assert_exact(ours)


def test_a_generate_schema_name_of_acme_moves_no_node_of_the_package(acme: DbtProject, login: str) -> None:
    macro = acme.directory / "macros" / "generate_schema_name.sql"
    macro.parent.mkdir()
    macro.write_text("{% macro generate_schema_name(name, node) %}{{ target.schema }}{% endmacro %}")
    fill(acme.database, 1, 300, dt.date.fromisoformat(AS_OF), "UTC")
    acme.run("build", *NO_TESTS, user=login, report_as_of=AS_OF)
    assert_exact(acme)
    assert value(acme, "select relkind::text from pg_class where oid = 'analytics.totals'::regclass") == "m"

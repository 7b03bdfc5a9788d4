"""The docs name all that a user can name: commands, options, exit codes, settings, counters, variables, functions."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

import chat_telemetry
from chat_telemetry._cli.errors import ExitCode
from chat_telemetry._settings import PREFIX, Settings
from tools.check_docs.__main__ import page_paths
from tools.check_docs.commands import cli_options
from tools.check_docs.connections import check_connections, check_programs
from tools.check_docs.page import read_page

ROOT = Path(__file__).parents[1]
PAGES = {path: (ROOT / path).read_text(encoding="utf-8") for path in page_paths(ROOT)}
CLI = PAGES[Path("docs/cli.md")]
LOADER = PAGES[Path("docs/loader.md")]
CHANGELOG = PAGES[Path("CHANGELOG.md")]
# Where code, a profile or a macro reads a variable of the environment.
READ = re.compile(r"""(?:environ(?:\.get\(|\[)|env_var\(|envvar=\[?)['"]((?:CHAT_TELEMETRY|DBT_ENV)_\w+)['"]""")
KINDS_OF_CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def variables_that_are_read() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "*.py", "*.yml", "*.sql"], cwd=ROOT, capture_output=True, check=True)
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in listed.stdout.decode().splitlines()]
    of_settings = {PREFIX + setting.name.upper() for setting in fields(Settings)}
    return of_settings.union(*(READ.findall(text) for text in texts))


def section(page: str, heading: str) -> str:
    """The text below a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


def names(name: str, text: str) -> bool:
    """Whether `text` has the name as a whole word in its code; the same word in prose does not count."""
    page = read_page(Path(), text)
    word = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return any(word.search(code.content) for code in (*page.inline_code, *page.blocks))


@pytest.mark.parametrize("command", [name for name in cli_options() if name])
def test_every_option_is_in_the_section_of_its_command(command: str) -> None:
    shared = CLI.split("\n## ", 1)[0]
    text = shared + section(CLI, command.split(maxsplit=1)[0])
    assert [option for option in sorted(cli_options()[command]) if not names(option, text)] == []


def test_every_option_of_the_program_is_on_the_page_of_the_command_line() -> None:
    assert [option for option in sorted(cli_options()[""]) if not names(option, CLI)] == []


def test_every_exit_code_is_in_the_table() -> None:
    assert re.findall(r"^\| (\d+) \|", CLI, re.MULTILINE) == [str(int(code)) for code in ExitCode]


def test_every_setting_is_in_the_table_by_its_variable_and_its_argument() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| `(\w+)` \|", section(LOADER, "Settings"), re.MULTILINE))
    assert rows.pop("DATABASE_URL") == "dsn"
    assert rows == {setting.name.upper(): setting.name for setting in fields(Settings)}


def test_the_table_of_settings_has_their_defaults() -> None:
    defaults = dict(re.findall(r"^\| `[A-Z_]+` \| `(\w+)` \| ([^|]+) \|", section(LOADER, "Settings"), re.MULTILINE))
    units = {"": 1, "s": 1, "MiB": 2**20}
    for setting in fields(Settings):
        number, _, unit = defaults[setting.name].partition(" ")
        if setting.default in (None, True):
            assert number in ("none:", "true"), setting.name
        else:
            assert float(number) * units[unit] == setting.default, setting.name


def test_every_counter_is_on_the_page_of_the_loader() -> None:
    assert [counter.name for counter in fields(chat_telemetry.Stats) if not names(counter.name, LOADER)] == []


def test_every_variable_that_is_read_is_documented() -> None:
    """The variables of the settings stand in a table without their prefix, as the test above knows."""
    variables = variables_that_are_read()
    assert {"CHAT_TELEMETRY_DATABASE_URL", "CHAT_TELEMETRY_DBT_HOST", "CHAT_TELEMETRY_TEST_SEED"} < variables
    in_the_table = {PREFIX + setting.name.upper() for setting in fields(Settings)}
    everything = "\n".join(PAGES.values())
    assert [name for name in sorted(variables - in_the_table) if not names(name, everything)] == []


def test_every_selector_of_dbt_is_in_the_table_on_the_page_of_operating() -> None:
    selectors = yaml.safe_load((ROOT / "selectors.yml").read_text(encoding="utf-8"))["selectors"]
    table = PAGES[Path("docs/operating.md")].split("| selector | selects |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [selector["name"] for selector in selectors]


def test_every_public_name_is_documented() -> None:
    everything = "\n".join(text for path, text in PAGES.items() if path.parts[0] == "docs")
    assert [name for name in [*chat_telemetry.__all__, "__version__"] if not names(name, everything)] == []


def test_every_example_of_a_connection_to_another_machine_verifies_it() -> None:
    pages = [read_page(path, text) for path, text in PAGES.items()]
    assert any("sslmode=verify-full" in block.content for page in pages for block in page.blocks)
    assert [problem for page in pages for problem in check_connections(page)] == []
    assert list(check_programs(ROOT)) == []


def test_the_changelog_is_kept_as_keep_a_changelog_says() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert next(heading for heading in headings if heading != "[Unreleased]").startswith(f"[{version}] - ")
    for heading in headings:
        assert re.fullmatch(r"\[Unreleased\]|\[\d+\.\d+\.\d+\] - (unreleased|\d{4}-\d\d-\d\d)", heading)
        assert f"\n{heading.split(' ')[0]}: https://" in CHANGELOG
    assert set(re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE)) <= KINDS_OF_CHANGES

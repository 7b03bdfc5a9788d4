"""`make docs` finds each kind of problem at its line, and finds none where there is none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.check_docs.__main__ import ROOT, find_problems, page_paths
from tools.check_docs.page import read_page

MAKEFILE = "lint: ## Check\n\truff check .\n\nbench-reports: ## Measure\n\tpython -m benchmarks $(BENCH)\n"
OTHER_PAGE = "# Other\n\n## One `call()` & more: 100 %\n\n## Twice\n\n## Twice\n"
Find = Callable[..., list[str]]

GOOD_PAGE = """# Title

[a page](docs/other.md), [a part](docs/other.md#one-call--more-100-), [the same again](docs/other.md#twice-1),
[here](#title), [elsewhere](https://example.com/nowhere#at-all), ![image](docs/image.svg), [by name].

`make lint`, `make bench-reports BENCH="--rows 5"`, `chat-telemetry report errors --format csv`, `docs/`, `docs/*.md`,
`application/json`, `docs/other.md`, `dist/new.whl`, `{{ ref('chat_telemetry', 'errors') }}`, `INSERT <rows>`

```python
import chat_telemetry
from chat_telemetry import TelemetryRecord, observe_chat

async with observe_chat(user_id=user.id, user_question="How many?") as chat:
    chat_telemetry.persist_telemetry(TelemetryRecord(user_id=user.id, user_question="How many?", ttfb_ms=5))
print(chat_telemetry.__version__)
```

```sql
select sum(cost_usd) as cost_usd from {{ ref('token_cost') }} where day >= date '2026-11-01';
```

```sh
export CHAT_TELEMETRY_DATABASE_URL='postgresql://owner@db.example.com/app?sslmode=verify-full'
psql postgresql://me:secret@localhost:5432/app || psql postgresql:///app || psql 'host=127.0.0.1 user=me'
for file in *.jsonl; do LC_ALL=C chat-telemetry load "$file" \\
    --rejected bad.jsonl && make lint; done   # then make tea
```

```toml
name = "x"
```

```yaml
name: [x]
```

```json
{"name": "x"}
```

```
chat code -> loader
```

    chat-telemetry migrate --rollback   undo the last one; asks first, --answer answers

[by name]: docs/other.md

<!-- The next lines are written by a tool. -->

text
"""

# What a page says, the line of the problem, and what is said about it.
FAULTY_PAGES = {
    "a link to no file": ("[x](docs/gone.md)", 1, "docs/gone.md: no such file"),
    "a link by name": ("[x]\n\n[x]: gone.md", 1, "gone.md: no such file"),
    "a link out of the repository": ("text\n[x](../secret.md)", 2, "../secret.md: leads out of the repository"),
    "an anchor of the page": ("# Title\n\n[x](#titel)", 3, "#titel: page.md has no such anchor"),
    "an anchor of another page": ("[x](docs/other.md#on)", 1, "docs/other.md#on: docs/other.md has no such anchor"),
    "an anchor of no page": ("[x](Makefile#lint)", 1, "Makefile#lint: an anchor in something that is no page"),
    "an image": ("![x](docs/gone.svg)", 1, "docs/gone.svg: no such file"),
    "a link in a table": ("| a |\n| --- |\n| [x](gone.md) |", 3, "gone.md: no such file"),
    "HTML": ("text\n\n<img src='docs/image.svg'>", 3, "<img src='docs/image.svg'>: HTML is not checked"),
    "HTML after a comment": ("<!-- x --><b>y</b>", 1, "<!-- x --><b>y</b>: HTML is not checked"),
    "a word in pointed brackets": ("run it with <rows> rows", 1, "<rows>: HTML is not checked"),
    "a file in code": ("in `docs/gone.md`", 1, "docs/gone.md: no such file or folder"),
    "files in code": ("in `docs/*.rst`", 1, "docs/*.rst: no such file or folder"),
    "Python": ("```python\nx = 1\nif x\n```", 3, "Python: expected ':'"),
    "an import": ("```python\nfrom chat_telemetry import persist\n```", 2, "chat_telemetry has no public name persist"),
    "an import of a private module": (
        "```python\nfrom chat_telemetry._record import encode\n```",
        2,
        "chat_telemetry._record has no public name encode",
    ),
    "a private module": ("```python\nimport chat_telemetry._record\n```", 2, "chat_telemetry._record is not public"),
    "a name": ("```python\nchat_telemetry.flash()\n```", 2, "chat_telemetry has no public name flash"),
    "an argument": (
        "```python\nTelemetryRecord(user_id=1, question=2)\n```",
        2,
        "TelemetryRecord has no argument question",
    ),
    "SQL": ("```sql\nselect 1;\nselect from where;\n```", 3, "SQL: "),
    "a shell command": ("```sh\necho 'x\n```", 2, "sh: "),
    "TOML": ("```toml\nx =\n```", 2, "TOML: "),
    "YAML": ("```yaml\nx: [\n```", 2, "YAML: "),
    "JSON": ("```json\n{'x': 1}\n```", 2, "JSON: "),
    "a misspelt language": ("```pyton\nx = 1\n```", 1, "a block in 'pyton', for which there is no check"),
    "a make target": ("```sh\nmake lint\nmake lnit\n```", 3, "make lnit: no such target"),
    "a make target in a text": ("Run `make test-all`.", 1, "make test-all: no such target"),
    "a make variable": ("`make bench-reports BENHC=x`", 1, "make BENHC=x: the Makefile reads no variable BENHC"),
    "a command": ("text\n\n    chat-telemetry import a.jsonl", 3, "chat-telemetry import: no such command"),
    "a command in a pipe": ("```sh\nzcat a.gz | chat-telemetry read -\n```", 2, "chat-telemetry read: no such command"),
    "an option": ("`chat-telemetry report errors --json`", 1, "chat-telemetry report has no option --json"),
    "an option on the next line": (
        "```sh\nchat-telemetry load a \\\n  --parents\n```",
        2,
        "chat-telemetry load has no option --parents",
    ),
    "a subcommand": ("`chat-telemetry prices put own.csv`", 1, "chat-telemetry prices put: no such command"),
    "an option of a subcommand": (
        "`chat-telemetry prices set --json own.csv`",
        1,
        "chat-telemetry prices set has no option --json",
    ),
    "a URL without TLS": (
        "```sh\n\npsql 'postgresql://me@db.example.com:5432/app?sslmode=require'\n```",
        3,
        "postgresql://me@db.example.com:5432/app?sslmode=require: a connection to another machine needs sslmode=verify",
    ),
    "a URL of two hosts": (
        "in `postgres://localhost,db2/app`",
        1,
        "postgres://localhost,db2/app: a connection to another machine needs sslmode=verify-full",
    ),
    "a connection string without TLS": (
        "`psql 'user=me host=db.example.com'`",
        1,
        "host=db.example.com': a connection to another machine needs sslmode=verify-full",
    ),
    "an option of the program": ("`chat-telemetry --verbose`", 1, "chat-telemetry has no option --verbose"),
}


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """The problems of a small repository whose `page.md`, or other files, have the text that is given."""

    def problems(page: str = "", **files: str) -> list[str]:
        texts = {
            "Makefile": MAKEFILE,
            "docs/other.md": OTHER_PAGE,
            "docs/image.svg": "<svg/>",
            ".gitignore": "dist/\n",
            "dist/old.whl": "",
            "page.md": page,
            **files,
        }
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        shutil.copy(ROOT / ".sqlfluff", tmp_path)
        (tmp_path / "macros").mkdir()
        return [str(problem) for problem in find_problems(tmp_path)]

    return problems


def test_a_page_without_a_problem_has_none(find: Find) -> None:
    assert find(GOOD_PAGE) == []


@pytest.mark.parametrize("kind", FAULTY_PAGES)
def test_each_kind_of_problem_is_found_at_its_line(find: Find, kind: str) -> None:
    page, line, message = FAULTY_PAGES[kind]
    (problem,) = find(page)
    assert problem.startswith(f"page.md:{line}: {message}")


def test_the_problems_of_a_page_come_in_the_order_of_its_lines(find: Find) -> None:
    found = find("`make tea`\n\n[x](gone.md)\n\n`docs/gone.md`")
    assert [problem.split(":")[1] for problem in found] == ["1", "3", "5"]


def test_anchors_are_githubs() -> None:
    text = (
        "# The loader: what it *promises*, and how\n## `token_cost`\n## [1.0] - 2026\n## Größe\n## A/B & C\n"
        "## A/B & C\nSet *this*\n===\n"
    )
    assert read_page(Path("page.md"), text).anchors == {
        "the-loader-what-it-promises-and-how",
        "token_cost",
        "10---2026",
        "größe",
        "ab--c",
        "ab--c-1",
        "set-this",
    }


@pytest.mark.parametrize("run", ["make tea", "|\n          make lint\n          make tea"], ids=["line", "block"])
def test_a_workflow_names_make_targets_that_exist(find: Find, run: str) -> None:
    workflow = f"jobs:\n  test:\n    steps:\n      - uses: actions/checkout@v4\n      - run: {run}\n"
    (problem,) = find(**{".github/workflows/ci.yml": workflow})
    assert problem == f".github/workflows/ci.yml:{5 + 2 * ('lint' in run)}: make tea: no such target"


def test_the_script_of_ci_names_make_targets_that_exist(find: Find) -> None:
    assert find(**{".ci/run": "#!/bin/sh\nmake lint\nmake tea\n"}) == [".ci/run:3: make tea: no such target"]


def test_connections_of_examples_and_in_docstrings_verify_the_other_machine(find: Find) -> None:
    url = "postgresql+psycopg://me@db.example.com/app"
    documented = f'class A:\n    """One.\n\n    {url}?x=1\n    """\n    b = "{url}"\n    "{url}?sslmode=verify-full"\n'
    problem = "a connection to another machine needs sslmode=verify-full"
    assert find(**{"examples/one/chat.py": f"# {url}\n", "loader/a/b.py": documented}) == [
        f"examples/one/chat.py:1: {url}: {problem}",
        f"loader/a/b.py:4: {url}?x=1: {problem}",
    ]


def test_every_page_for_people_is_checked() -> None:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    descriptions_of_columns = {"models/shared_columns.md"}
    assert {str(path) for path in page_paths(ROOT)} == set(listed.stdout.splitlines()) - descriptions_of_columns


def test_a_problem_is_a_line_and_exit_code_1(find: Find, tmp_path: Path) -> None:
    find("[x](gone.md)")
    command = [sys.executable, "-m", "tools.check_docs", str(tmp_path)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (1, "page.md:1: gone.md: no such file\n2 pages, 1 problems\n")
    (tmp_path / "page.md").write_text("# Fine\n")
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (0, "2 pages, no problems\n")

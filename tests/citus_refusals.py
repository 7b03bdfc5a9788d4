"""What Citus refuses or does wrong with a distributed log, found in the text of SQL: no cluster is needed.

Each rule was found on a cluster. The text can be of dbt, of a migration or of a Python file: comments are left out, and
expressions of Jinja are read as names.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

LOG, FEED = "chat_telemetry_log", "chat_telemetry_changes"
READS = rf"\b(?:from|join)\s+(?:public\.)?({LOG}|{FEED})\b"
# A query on a table whose name is filled in, or on the changes that a macro gets, may read the log.
MAY_READ = rf"\bfrom\s+(?:(?:public\.)?({LOG}|{FEED})\b|changes\b|%s)"
ROWS_AS_VALUES = rf"\b(?:select\s+from\s+(?!(?:public\.)?(?:{LOG}|{FEED})\b)|(?:to_jsonb|jsonb_each|pg_locks)\b)"
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", re.DOTALL)
SOURCE = re.compile(r"\{\{-?\s*(?:source|ref)\((?:[^()]*,)?\s*['\"](\w+)['\"]\s*\)\s*-?\}\}")
EXPRESSION = re.compile(r"\{\{-?\s*(\w+).*?\}\}", re.DOTALL)
STATEMENT = re.compile(r"\{%.*?%\}", re.DOTALL)
SQL = re.compile(r"\b(select|insert|update|delete|merge|drop|with)\b", re.IGNORECASE)


def texts_of(path: Path) -> Iterator[str]:
    """The SQL in a file: all of it, or each string of a Python file that has some. An f-string is one string."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    joined: set[ast.AST] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            joined.update(ast.walk(node))
            parts = [str(part.value) if isinstance(part, ast.Constant) else " name " for part in node.values]
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and node not in joined:
            value = node.value.decode(errors="replace") if isinstance(node.value, bytes) else node.value
            if SQL.search(value):
                yield value


def refusals(text: str) -> list[str]:
    """What is wrong with the text, each with what to write instead."""
    plain = COMMENT.sub(" ", text)
    plain = STATEMENT.sub(" ", EXPRESSION.sub(r" \1 ", SOURCE.sub(r" \1 ", plain))).lower()
    return [advice for is_in, advice in RULES if is_in(plain)]


def _rows_of_values(text: str) -> Iterator[str]:
    """What each VALUES lists: all its rows."""
    for match in re.finditer(r"\bvalues\s*\(", text):
        depth, place = 1, match.end()
        while depth and place < len(text):
            depth += {"(": 1, ")": -1}.get(text[place], 0)
            place += 1
            if not depth and (following := re.match(r"\s*,\s*\(", text[place:])):
                depth, place = 1, place + following.end()
        yield text[match.end() : place]


def _queries(text: str) -> Iterator[list[str]]:
    """The branches of each UNION: the text between parentheses, or all of it, without what inner parentheses hold."""
    levels: list[list[str]] = [[""]]
    for part in re.findall(r"[();]|\bunion(?:\s+all)?\b|(?:(?!\bunion\b)[^();])+", text):
        if part == "(":
            levels.append([""])
        elif part == ")" and len(levels) > 1:
            inner = levels.pop()
            yield inner
            levels[-1][-1] += " ( " + " ".join(inner) + " ) "
        elif part == ";":
            yield levels[-1]
            levels[-1] = [""]
        elif part.startswith("union"):
            levels[-1].append("")
        else:
            levels[-1][-1] += part
    yield from levels


def _is_union_without_key(text: str) -> bool:
    for branches in _queries(text):
        readers = [branch for branch in branches if re.search(READS, branch)]
        if len(readers) > 1 and {match[1] for match in re.finditer(READS, " ".join(readers))} == {LOG, FEED}:
            for branch in readers:
                selected = re.search(r"\bselect\b(.*?)\bfrom\b", branch, re.DOTALL)
                if not selected or not re.search(r"\blog_id\b", selected[1]):
                    return True
    return False


def _is_joined_union(text: str) -> bool:
    """Whether a subquery that reads both tables is joined with another table."""
    openings: list[int] = []
    for match in re.finditer(r"[()]", text):
        if match[0] == "(":
            openings.append(match.end())
        elif openings:
            inner = text[openings.pop() : match.start()]
            is_union = re.search(r"\bunion\b", inner) and {m[1] for m in re.finditer(READS, inner)} == {LOG, FEED}
            if is_union and re.match(
                r"\s*(as\s+)?\w+\s+((left|right|full|inner|cross)\s+)?join\b", text[match.end() :]
            ):
                return True
    return False


def _has(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.search(pattern, text, re.DOTALL) is not None


RULES: list[tuple[Callable[[str], bool], str]] = [
    (
        lambda text: any(re.search(r"\(\s*(select|with)\b", row) for row in _rows_of_values(text)),
        "a subquery in VALUES: write INSERT … SELECT",
    ),
    (
        lambda text: (
            re.search(MAY_READ, text) is not None
            and any(
                re.search(r"\bselect\b", having)
                for having in re.findall(r"\bhaving\b(.*?)(?=\border\s+by\b|\blimit\b|\bunion\b|;|$)", text, re.DOTALL)
            )
        ),
        "a subquery in HAVING: filter in an outer query",
    ),
    (
        _has(r"\bwith\s+recursive\b(?!.*\bpg_depend\b)"),
        "a recursive query: ask for one day after the other, or for all days",
    ),
    (_has(r"\bmerge\s+into\b"), "MERGE: write INSERT … ON CONFLICT"),
    (_has(r"\bdrop\b[^;]*\bpg_temp\s*\."), "pg_temp in a DROP: leave it out, it is searched first"),
    (
        _has(rf"\bselect\s+from\s+(?:public\.)?(?:{LOG}|{FEED})\b"),
        "a subquery without columns: write SELECT 1, or Citus has no columns for its rows",
    ),
    (
        lambda text: any(
            re.search(READS, statement) and re.search(ROWS_AS_VALUES, statement) for statement in text.split(";")
        ),
        "rows as values, or a function that returns records, beside a distributed table: ask in a query of its own",
    ),
    (_is_union_without_key, "a UNION of the log and the feed without log_id in each branch: two snapshots"),
    (_is_joined_union, "a join with a UNION of the log and the feed: join in each branch, or all rows move first"),
    (
        _has(rf"\bfrom\s+(?:(?:public\.)?(?:{LOG}|{FEED})|changes)\b[^;]*\blateral\s*\(?\s*(values|unnest)\b"),
        "LATERAL with VALUES or unnest: unnest in the select list, or all rows move",
    ),
    (
        _has(rf"\binsert\s+into\s+(public\.)?{LOG}\b(?![^;]*\breturning\b)(?=[^;]*\bon\s+conflict\b)"),
        "ON CONFLICT without RETURNING: the command tag counts rows that are there already",
    ),
    (
        _has(rf"\binsert\s+into\s+(public\.)?{LOG}\b(?=[^;]*\bselect\b)(?![^;]*\bon\s+conflict\b)"),
        "INSERT … SELECT without ON CONFLICT: Citus uses COPY, which row level security refuses",
    ),
]

"""The shape of small texts, by kind. Each of them once had a wrong shape, or stands next to one that had."""

from __future__ import annotations

import pytest

from tests.conftest import Database
from tests.shapes.conftest import Shapes
from tests.shapes.oracle import shape

# By kind: the shape, then texts that have it.
SAME = {
    "ends": [
        "select ?",
        "select 1",
        "select 1\n",
        "\n\tselect 1 \r\n",
        "select 1;",
        ";; select 1 ; ;\n",
        "-- first\nselect 1",
        "select 1 -- last",
        "/* a */select/* b */1/* c */",
        "SELECT\v\f1",
        "select\x01\x1f1",
    ],
    "spaces": [
        "select a from t where a = ?",
        "select a from t where a=1",
        "select a from t where a = 1",
        "select a\nfrom t where a= /**/1",
    ],
    "commas": ["select count(*), a, b", "select count( * ),a , b", "SELECT COUNT(*), a, b", "select count (*),a,b"],
    "signs": ["x > ?", "x > -1", "x > 1", "x>+1", "x > - 1", "x >-/* c */1"],
    "signs in lists": ["f(?, ?, a[?])", "f(-1, +2, a[-3])", "f(1, 2, a[3])"],
    "numbers": [
        "= ?",
        "= 1",
        "= 1_000",
        "= 0x1F",
        "= 0o17",
        "= 0b01",
        "= 1.5",
        "= 1.",
        "= .5",
        "= 1e5",
        "= 1.5E-3",
        "= 1_0.e+5",
    ],
    "strings": [
        "= ?",
        "= 'Jane'",
        "= 'it''s'",
        "= e'it\\'s' --'",
        "= N'x'",
        "= b'01'",
        "= X'1F'",
        "= u&'\\0041'",
        "= 'a'\n'b'",
        "= 'a' -- c'\n-- d\r  'b'",
        "= E'a'\r'\\'b'",
        "= $1",
    ],
    "dollar quotes": [
        "= ?",
        "= ''",
        "= $$$$",
        "= $$costs $5$$",
        "= $q1$a$b$ $q2$ $$ '$q1$",
        "= $TAG$prefix $tag$ email=alice@example.com $TAG$",
        "= $é$ $e$ $é$",
        "= $🦆$🦆 $ $🦆$",
        "= $a$ $b$a$",
        "= $a$ $a $a$",
    ],
    "text that is cut": [
        "select ?",
        "select 'a",
        "select 'Jane Doe",
        "select e'it\\'s",
        "select e'it\\",
        "select x'",
        "select $$a 'b' $",
        "select $q$ $$ $Q$",
        'select "Jane Doe',
        'select u&"Jane',
        "select 'a'\n'b",
        "select 1 /* from jane",
        "select 1 /* /* from */ jane",
        "select 1 -- 'jane",
    ],
    "comments": [
        "select a, b",
        "select a, b",
        "select a /* a /* b */ c */, b",
        "select a--'c\n,b",
        "select a -- c\r, b",
        'select a -- "c" /* \r\n, b',
        "select a /*/**/*/, b",
        "/***/select a, b/* * / **/",
        "select a/*'*/,/*$$*/b",
    ],
    "lists": [
        "x in (?)",
        "x in (1)",
        "x in (1, 2)",
        "x IN(1,-2,3.5,'a',$1)",
        "x in ( -1 , +2 )",
        "x in (1 -- one\n, 2)",
    ],
    "lists with casts": ["x in (?::text)", "x in ('a'::text)", "x in ('a'::text, 'b' :: TEXT)"],
    "lists with types": ["x in (date ?)", "x in (date '2026-01-01')", "x in (date '2026-01-01', DATE '2026-01-02')"],
    "lists of rows": ["(x, y) in ((?, ?))", "(x, y) in ((1, 'a'))", "(x, y) in ((1, 'a'), (2, 'b'), (3, 'c'))"],
    "arrays": ["x = any (array[?])", "x = any(array[1])", "x = ANY (ARRAY[1, 2, -3])", "x = any(array [1,2])"],
    "arrays in arrays": ["[[?]]", "[[1, 2], [3, 4]]", "[[1]]", "[ [1], [2, 3, 4] , [5] ]"],
    "rows of values": [
        "values (?, ?)",
        "values (1, 'a')",
        "values (1, 'a'), (2, 'b')",
        "VALUES(1,'a'),(-2,'b'),(3,$$c$$)",
    ],
    "casts to types with long names": [
        "x in (?::character varying)",
        "x in ('a'::character varying)",
        "x in ('a'::character varying, 'b'::character  varying)",
    ],
    "casts to types with zones": [
        "x in (?::timestamp(?) without time zone)",
        "x in ('a'::timestamp(3) without time zone, 'b'::timestamp(3) without time zone)",
    ],
    "casts to types with schemas": ["x in (?::my.type[])", "x in ('a'::my.type[], 'b' :: my . type[])"],
    "literals after types": ["x in (uuid ?)", "x in (uuid 'a')", "x in (uuid 'a', uuid'b')"],
    "times with zones": [
        "x in (timestamp with time zone ?)",
        "x in (timestamp with time zone 'a', timestamp with time zone 'b')",
    ],
    "intervals with fields": ["x in (interval ? day)", "x in (interval '1' day, interval '2' day)"],
    "calls of cast": ["x in (cast(? as my.date))", "x in (cast('a' as my.date), cast('b' as my.date))"],
    "casts with sizes": [
        "x in (?::numeric(?, ?))",
        "x in (1::numeric(10, 2))",
        "x in (1::numeric(10, 2), 2::numeric(9,1))",
    ],
}
EXACT = {
    # Spaces
    "SELECT COUNT ( * ), A . b FROM t": "select count(*), a.b from t",
    "select t.*, s . t . c": "select t.*, s.t.c",
    "insert into t(a,b) values(1,2) on conflict(a)": "insert into t(a, b) values (?, ?) on conflict (a)",
    "select f(x)over(partition by y)filter(where z)": "select f(x) over (partition by y) filter (where z)",
    "select arr[1:2], arr [1], :id, x=:id": "select arr[? :?], arr[?], :id, x = :id",
    "select (f(x)).y[1]::int[]": "select (f(x)).y[?]::int[]",
    "select x->>'a', y@>'{}', z||'b', -x, - 5": "select x ->> ?, y @> ?, z || ?, - x, ?",
    "select 1; select 2": "select ?; select ?",
    "a := 1, b => 2, a:=[1]": "a := ?, b => ?, a := [?]",
    'select "f"(1), u&"F"(2), U&"F" (2)': 'select "f"(?), u&"F"(?), u&"F"(?)',
    "where x=any(array[1]) and exists(select 1)": "where x = any (array[?]) and exists (select ?)",
    "select 1..10, 1...5, a..b": "select ?..?, ?..?, a..b",
    # Marks that differ only by a space between them stay different.
    "a . . b": "a. .b",
    "a..b": "a..b",
    "a : : b": "a : :b",
    "a::b": "a::b",
    "a : = b": "a : = b",
    # Signs
    "x - 5": "x - ?",
    "x -5": "x - ?",
    "5 - -5": "? - ?",
    "- -5": "- ?",
    "(x) - 1, y[1] - 1, 'a' - 1, $1 + 1": "(x) - ?, y[?] - ?, ? - ?, ? + ?",
    "case when -1 then +2 else -3 end": "case when ? then ? else ? end",
    "select -1 limit -1": "select ? limit ?",
    "- 'a', -$1, = -'a'": "- ?, - ?, = - ?",
    "x =-1, y @-1, z<>+-1": "x = ?, y @- ?, z <> + ?",
    # Numbers and names
    "select a1, t2.c3, _4, x$5, É6": "select a1, t2.c3, _4, x$5, É6",
    "select 表1, 表2, ä1, ä2": "select 表1, 表2, ä1, ä2",
    "select สวัสดี1, 😀2, e\u03012": "select สวัสดี1, 😀2, e\u03012",
    "select\u00a01, \ufeffselect 2, a\u200b3": "select\u00a01, \ufeffselect ?, a\u200b3",
    "select \uff11\uff12": "select \uff11\uff12",
    "select [2023], `2023`, 2023_sales": "select [?], ` ? `, ? _sales",
    "1a, 0x, 0xG, 0o18, 1_, 1__0, 1e, 1e+": "? a, ? x, ? xg, ?, ? _, ? __0, ? e, ? e +",
    "a.5, 1.5.3, 0b12.5e1, 1.a, 1.e5, $1.5, 1 .5": "a ?, ?, ?, ? a, ?, ? ?, ? ?",
    "$1a, $1_0, $1$2, $, $a, a$1$": "? a, ? _0, ?, $, $ a, a$1$",
    # Strings and quoted names
    "b'1''0', 'a' 'b', 'a' /* \n */ 'b'": "? ?, ? ?, ? ?",
    "$$a$$\n'b', $$a$$ $$b$$": "? ?, ? ?",
    "a$b$c$, 1$a$x$a$, $1$a$x$a$": "a$b$c$, ? ?, ? ?",
    "u&'a' uescape '!', xe'a', U & 'a'": "? uescape ?, xe ?, u & ?",
    'select "a  b", "a b", "A""1", \'"c"\'': 'select "a  b", "a b", "A""1", ?',
    'select "a\x02b"': 'select "a b"',
    "select 'Straße', \"Größe\" from KÄUFE": 'select ?, "Größe" from kÄufe',
    "select \u0130, I, \u212a": "select \u0130, i, \u212a",
    "true, FALSE, Null, true": "true, false, null, true",
    "date '2026-01-01' - interval '7 days'": "date ? - interval ?",
    # Comments and operators
    "a+--x\nb, a*/*x*/b, a-/*x*/-b": "a + b, a * b, a - - b",
    "a @-b, a <+-b, a =- b, a !=-1": "a @- b, a < + - b, a = - b, a !=- ?",
    "a ? 'b', a ?| c, a #>> d": "a ? ?, a ?| c, a #>> d",
    "\\x {a}\x7fb": "\\ x { a } b",
    "from t -- all\nwhere a = 1": "from t where a = ?",
    "from t -- all where a = 1": "from t",
    # Lists
    "x in (1, null, 2, 3)": "x in (?, null, ?)",
    "x in (select 1 from t), y in (1, z), z in ()": "x in (select ? from t), y in (?, z), z in ()",
    "x in (1, 2,), y in (1, 2": "x in (?, ?,), y in (?",
    "x in ((1, 2), 3)": "x in ((?, ?), ?)",
    "x in (true, false, false, null::int, null::int)": "x in (true, false, null::int)",
    "x in ('1'::int[], '2'::int[]), y in ('1'::int[][], '2')": "x in (?::int[]), y in (?::int[][], ?)",
    "(a, b) in (select 1, 2), (a) in (select distinct 1, 1)": "(a, b) in (select ?, ?), (a) in (select distinct ?, ?)",
    "x in (1, 2, 3": "x in (?",
    "x in (1, 2, ": "x in (?,",
    "x = any(array['a', 'b', 'c": "x = any (array[?",
    'x in (1, "Jane': "x in (?",
    '[1, u&"Jane': "[?",
    "[1, 2[3, 4": "[?, ?[?",
    "array[1, 2, [": "array[?, ?, [",
    "array['1'::int, '2'::int[], '3'::int[]], array['4'::int[], null::int[]]": (
        "array[?::int, ?::int[]], array[?::int[], null::int[]]"
    ),
    "array[array['1'::int[][], '2'::int[][]], array['3'::int[][]]], array[[], []]": (
        "array[array[?::int[][]], array[?::int[][]]], array[[], []]"
    ),
    "x in (f(1), f(1)), y in (a, a), z in (1 + 1, 1 + 1)": "x in (f(?), f(?)), y in (a, a), z in (? + ?, ? + ?)",
    'x in (1::"T", 2::"T"), "in" (1, 2)': 'x in (?::"T", ?::"T"), "in"(?, ?)',
    "f(1, 2), (1, 2)": "f(?, ?), (?, ?)",
    "values (1, 1), (2, 2), (3, now()), (4, 4)": "values (?, ?), (?, now()), (?, ?)",
    "values (1), (2), (3, 4), (5, 6), (7)": "values (?), (?, ?), (?)",
    "values (), (), (1), (2,)": "values (), (), (?), (?,)",
    "values (1), (2) returning x": "values (?) returning x",
    "array[], array[1, null, 2, 2], a[b], a[1, c, 2, 3]": "array[], array[?, null, ?], a[b], a[?, c, ?, ?]",
    "array[[1, 2], x, [3], [4]], a[1][2]": "array[[?], x, [?], [?]], a[?][?]",
}
SIX_DIMENSIONS = "[[[[[[{}], [{}]], [[{}]]], [[[{}]]]], [[[[{}]]]]], [[[[[{}]]]]]]"
LONG = "a" * 5_000
EXACT |= {
    SIX_DIMENSIONS.format(*["1, 2"] * 6): "[[[[[[?]]]]]]",
    f"{LONG}e'x\\' y": f"{LONG}e ? y",  # the name ends in e, so the string has no escapes
    f"{LONG}$b$ c $b$": f"{LONG}$b$ c ?",
    f"${LONG}$ 'x' $x$ ${LONG}$ y": "? y",
}
EMPTY = ["", " \n", ";", "-- x", "/* x", " ; /* a */ ;\r"]


@pytest.mark.parametrize("expected_and_texts", SAME.values(), ids=SAME)
def test_texts_that_differ_only_in_form_or_in_literals_share_a_shape(
    sql_shapes: Shapes, expected_and_texts: list[str]
) -> None:
    expected, *texts = expected_and_texts
    assert {text: shape(text) for text in texts} == dict.fromkeys(texts, expected)
    assert dict(zip(texts, sql_shapes(texts), strict=True)) == dict.fromkeys(texts, expected)


@pytest.mark.parametrize(("text", "expected"), EXACT.items())
def test_the_shape_of_a_text(sql_shapes: Shapes, text: str, expected: str) -> None:
    assert shape(text) == expected
    assert sql_shapes([text]) == [expected]


def test_a_text_without_a_token_has_no_shape(sql_shapes: Shapes, database: Database) -> None:
    assert [shape(text) for text in EMPTY] == [None] * len(EMPTY)
    assert sql_shapes(EMPTY) == [None] * len(EMPTY)
    with database.connect() as connection:
        assert connection.execute("select public.chat_telemetry_sql_shape(null)").fetchone() == (None,)


def test_a_text_is_read_up_to_its_100000th_character(sql_shapes: Shapes) -> None:
    ends = {
        "": "select ?",
        " ": "select ? …",
        "ü": "select ? …",
        "'Jane": "select ? …",
        "; ;": "select ? …",
    }
    texts = [f"select {1:<99993}{end}" for end in ends]
    assert {len(text.removesuffix(end)) for text, end in zip(texts, ends, strict=True)} == {100_000}
    assert [shape(text) for text in texts] == [*ends.values()]
    assert sql_shapes(texts) == [*ends.values()]
    cut_inside = [f"select {1:<99992}'Jane'", f"select {1:<99992}🦆🦆", f"{';':>100000};", f"{'x':>100001}"]
    expected = ["select ? ? …", "select ? 🦆 …", "…", "…"]
    assert [shape(text) for text in cut_inside] == expected
    assert sql_shapes(cut_inside) == expected

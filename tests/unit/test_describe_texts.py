"""Hostile text in Markdown and in Mermaid: shown as it is, and never more than text."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from truing.catalog.model import Column, Constraint, Grant, Index, Snapshot, Table
from truing.cli.describe import _SECTIONS
from truing.describe.choose import choose
from truing.describe.grants import granted
from truing.describe.graph import graph, short_type
from truing.describe.mentions import qualified_names
from truing.describe.mermaid import mermaid
from truing.describe.page import SECTIONS
from truing.describe.texts import code, fenced, prose, slug, table, visible
from truing.names import QualifiedName, ident
from truing.versions import PostgresVersion

HOSTILE = [
    "a|b",
    "a\\|b",
    "a\\",
    "`",
    "``x`",
    " a ",
    "*a* _b_ **c**",
    "<script>alert(1)</script>",
    "</code><img src=x onerror=alert(1)>",
    "&lt;&#60;",
    "[x](javascript:alert(1))",
    "![x](y)",
    "line\nbreak",
    "line\r\n\n# break",
    "\u202etxt.exe",
    "\x1b[31m",
    "~~~",
    "$x$ {{ x }} {role}`x`",
    "日本語 é",
    "-->",
]
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


def rendered(text: str) -> tuple[str, set[str]]:
    """What a reader sees, and the HTML that is in it."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    seen, html = [], set()
    for token in (child for each in tokens for child in (each.children or [each])):
        if token.type in {"html_inline", "html_block"}:
            html |= set(re.findall(r"<[^>]*>", token.content))
        elif token.type in {"text", "code_inline", "text_special"}:
            seen.append(token.content)
        elif token.type in {"softbreak", "em_open", "strong_open", "link_open", "image", "fence"}:
            html.add(token.type)
    return "".join(seen), html


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("write", [code, prose], ids=["code", "prose"])
def test_hostile_text_is_only_text_in_a_cell(text, write):
    page = table(("one", "two"), [("first", write(text)), (write(text), "last")])
    seen, html = rendered(page)
    shown = visible(text) if write is code else " ".join(visible(text, multiline=True).replace("\r", "").split())
    if write is prose:
        shown = " ".join(visible(each) for each in text.split())
    assert seen == f"onetwofirst{shown}{shown}last"
    assert html <= {"<code>", "</code>"}


@given(NAMES)
def test_a_name_is_shown_as_it_is(text):
    seen, html = rendered(f"- {code(text)} end")
    assert (seen, html - {"<code>", "</code>"}) == (f"{visible(text)} end", set())


@given(NAMES)
def test_a_comment_is_shown_as_it_is(text):
    seen, html = rendered(prose(text))
    assert (seen, html) == (" ".join(visible(each) for each in text.split()), set())


@pytest.mark.parametrize("text", ["```\n# no", "a\n````\n```\nb", "~~~\n```", "`" * 9])
def test_a_definition_with_a_fence_stays_in_its_block(text):
    tokens = MarkdownIt("commonmark").parse(fenced(text, "sql") + "\n\nafter")
    assert [each.type for each in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[0].content == text + "\n"


@given(NAMES)
def test_a_definition_stays_in_its_block(text):
    tokens = MarkdownIt("commonmark").parse(fenced(text, "sql") + "\n\nafter")
    assert [each.type for each in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize("text", ["# a", "- a", "+ a", "1. a", "12) a", "= a", "    a", "> a", "| a |"])
def test_a_comment_begins_no_block(text):
    (first, *_) = MarkdownIt("commonmark").enable("table").parse(prose(text))
    assert first.type == "paragraph_open"


def test_an_empty_column_of_a_table_is_left_out():
    assert table(("a", "b", "c"), [("1", "", "2"), ("", "", "3")]) == "| a | c |\n|---|---|\n| 1 | 2 |\n|  | 3 |"


def test_slugs_tell_names_apart():
    names = ["a.b", "a.b_", "a_b", '"A".b', '"a b"', '"a-b"', "a.b.c", '"é"', '"è"', '"a."."b"', '"a"."".b"']
    assert len({slug(name) for name in names}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_-]+", slug(name)) for name in names)
    assert slug("rbac.user_roles") == "rbac-user_roles"


MERMAID = re.compile(
    r"erDiagram\n"
    r'(    t_[a-z0-9_-]+\["[\w .,()/:+*=\[\]-]+"\]( \{\n'
    r'(        [A-Za-z]\w*(\([\d_]+\))?(\[\])* [A-Za-z]\w*( (PK|FK|UK)(, (PK|FK|UK))*)?( "[\w .,()/:+*=\[\]-]+")?\n)*    \})?\n?'
    r'|    t_[a-z0-9_-]+ \|[o|]--o[{|] t_[a-z0-9_-]+ : "[\w .,()/:+*=\[\]-]+"\n?)*'
)
"""What Mermaid 11 reads whatever the words are, except those that the next test names."""


def diagram(schema: str, name: str, column: str, type_: str) -> str:
    one = Table(
        name=QualifiedName(schema, name),
        columns=(Column(name=column, type=type_, position=1),),
        constraints=(
            Constraint(
                name=name,
                kind="foreign-key",
                definition="",
                columns=(column,),
                references=QualifiedName(name, schema),
                referenced_columns=(column,),
            ),
        ),
    )
    return mermaid(graph(choose(Snapshot(version=PostgresVersion(180000), database="x", tables=(one,)))))


@given(NAMES, NAMES, NAMES, NAMES)
def test_mermaid_is_harmless(schema, name, column, type_):
    assert MERMAID.fullmatch(diagram(schema, name, column, type_))


@pytest.mark.parametrize("word", ["pk", "FK", "uk", "direction TB", "Direction  LR", "pk-x", "x[31m"])
def test_words_of_mermaids_own_are_disarmed(word):
    """Its lexer takes a column called pk for a key, and a line with a direction in it for a command."""
    text = diagram("s", word, word, f"public.{word}[]")
    assert not re.search(r"direction\s+(TB|LR)", text, re.IGNORECASE)
    (line,) = [each.split() for each in text.splitlines() if each.startswith("        ")]
    assert not {line[0].upper(), line[1].upper()} & {"PK", "FK", "UK"}
    assert not re.match(r"\w+[^\w]", line[1])


def test_mermaid_says_how_many():
    customers = Table(name=QualifiedName("s", "customers"), columns=(Column(name="id", type="bigint", position=1),))

    def order(*, not_null: bool, unique: bool) -> str:
        key = Constraint(
            name="k",
            kind="foreign-key",
            definition="",
            columns=("customer_id",),
            references=customers.name,
            referenced_columns=("id",),
            on_delete="CASCADE",
        )
        index = Index(name="u", definition="", columns=("customer_id",), unique=True)
        one = Table(
            name=QualifiedName("s", "orders"),
            columns=(Column(name="customer_id", type="timestamp with time zone", position=1, not_null=not_null),),
            constraints=(key,),
            indexes=(index,) if unique else (),
        )
        tables = (customers, one)
        text = mermaid(graph(choose(Snapshot(version=PostgresVersion(180000), database="x", tables=tables))))
        return text.splitlines()[-1].strip()

    assert order(not_null=True, unique=False) == 't_s-customers ||--o{ t_s-orders : "customer_id (cascade)"'
    assert order(not_null=False, unique=False).split()[1] == "|o--o{"
    assert order(not_null=False, unique=True).split()[1] == "|o--o|"


@pytest.mark.parametrize(
    ("printed", "short"),
    [
        ("timestamp with time zone", "timestamptz"),
        ("timestamp(3) with time zone", "timestamp(3) tz"),
        ("timestamp(3) without time zone", "timestamp(3)"),
        ("character varying(20)[]", "varchar(20)[]"),
        ("public.character varying", "public.character varying"),
        ("uuid", "uuid"),
    ],
)
def test_types_are_shortened(printed, short):
    assert short_type(printed) == short


def grant(role: str, *privileges: str, grantable: bool = False) -> list[Grant]:
    return [Grant(grantee=role, privilege=each, grantable=grantable) for each in privileges]


ALL = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


def test_rights_are_said_shortly():
    grants = [
        *grant("boss", *ALL, "MAINTAIN"),
        *grant("app", *ALL),
        *grant("public", "SELECT"),
        *grant("r", "DELETE", "SELECT"),
        *grant("r", "UPDATE", grantable=True),
    ]
    column = Column(name="a b", type="text", position=1, grants=tuple(grant("c", "UPDATE")))
    assert list(granted("table", "boss", grants, [column])) == [
        ("everybody", "`SELECT`"),
        ("`app`", "everything"),
        ("`c`", '`UPDATE ("a b")`'),
        ("`r`", "`SELECT`, `DELETE`, `UPDATE`, and may grant it"),
    ]


def test_an_owner_without_rights_is_said():
    assert list(granted("table", "boss", grant("boss", "SELECT"))) == [("`boss`", "`SELECT`")]
    assert list(granted("table", "boss", grant("app", "SELECT")))[1] == ("`boss`", "nothing, though the owner")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("(a)::text = app.f(b)", [("app", "f", True)]),
        ("'app.f(' || 'x''app.g('", []),
        ("E'\\'app.f(' || app.h", [("app", "h", False)]),
        ('"A""b"."c d" ("x"."y")', [('A"b', "c d", True), ("x", "y", False)]),
        ("a.b.c", [("a", "b", False)]),
        ("1.5 + x", []),
        (None, []),
    ],
)
def test_qualified_names_are_found_outside_of_strings(text, names):
    assert [(each.schema, each.name, called) for each, called in qualified_names(text)] == names


@given(NAMES, NAMES)
def test_any_quoted_name_is_found(schema, name):
    wanted = QualifiedName(schema, name)
    text = f"x > {ident(schema)}.{ident(name)}(1) AND 'a.b('::text <> ''"
    assert list(qualified_names(text)) == [(wanted, True)]


def test_the_command_knows_the_sections_of_the_page():
    assert _SECTIONS == SECTIONS


def test_help_loads_no_catalog():
    code_ = "import sys, truing.cli.describe; print([m for m in sys.modules if m.startswith(('truing.describe', 'truing.catalog', 'sqlalchemy'))])"
    done = subprocess.run([sys.executable, "-c", code_], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

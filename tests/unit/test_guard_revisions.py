"""The guard over recorded revisions: operations and raw SQL alike, with their lines, and what is allowed on them."""

from __future__ import annotations

from tests.project import make_project
from truing.config import Config
from truing.finding import Finding
from truing.lint.context import make_context
from truing.lint.engine import lint
from truing.lint.references.recorded import revision_references
from truing.revisions.project import discover
from truing.revisions.record import record


def check(folder, *bodies: str, **config) -> tuple[list[Finding], ...]:
    """The findings of each body, as a revision of its own; recording them together is one child process."""
    names = [f"r{number}" for number in range(len(bodies))]
    ini = make_project(folder, dict(zip(names, bodies, strict=True)), url="postgresql://nowhere/none")
    facts = revision_references(record(discover(config=ini)))
    found = lint([facts], make_context(Config(**config)), everything=False)
    assert {each.revision for each in found} <= set(names)
    return tuple([each for each in found if each.revision == name] for name in names)


REFERENCES = [
    "op.create_foreign_key('fk', 'profiles', 'users', ['u'], ['id'], referent_schema='auth')",
    "op.create_table('t', sa.Column('u', sa.Integer, sa.ForeignKey('auth.users.id')))",
    "op.create_table('users', sa.Column('id', sa.Integer))",
    "op.add_column('users', sa.Column('x', sa.Integer), schema='auth')",
    "op.drop_table('users')",
    "op.create_index('i', 'users', ['email'], schema='auth')",
    "op.execute('CREATE VIEW v AS SELECT * FROM auth.users')",
    "op.execute('UPDATE profiles SET x = 1 WHERE id IN (SELECT id FROM users)')",
    "op.execute('WITH q AS (DELETE FROM auth.users RETURNING 1) SELECT * FROM q')",
    "op.execute('CREATE POLICY p ON t USING (EXISTS (SELECT FROM auth.users))')",
    "op.execute('CREATE TRIGGER g AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION f()')",
    "op.execute('SELECT 1; GRANT SELECT ON auth.users TO PUBLIC')",
    "op.execute(sa.text('ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES auth.users (id)'))",
    "op.execute('COMMENT ON TABLE auth.users IS NULL')",
]


def test_references_are_found_with_their_line(tmp_path):
    for number, found in enumerate(check(tmp_path, *(f"x = 1\n{body}" for body in REFERENCES))):
        assert [(each.rule, each.severity.value) for each in found] == [("forbidden-table-reference", "error")], (
            REFERENCES[number]
        )
        assert found[0].location.file.endswith(f"r{number}.py")
        assert found[0].location.line == 11


LOOKALIKES = [
    "op.execute('WITH users AS (SELECT 1) SELECT * FROM users')",
    "op.execute(\"COMMENT ON TABLE t IS 'auth.users'\")",
    "op.execute('CREATE TABLE app_users (users int)')",
    "op.create_foreign_key('users', 't', 'profiles', ['users'], ['id'])",
    "op.execute('SELECT users FROM t AS users')",
    "op.execute('SELECT 1 -- auth.users')",
]


def test_what_only_looks_like_a_reference_is_none(tmp_path):
    found = check(tmp_path, *LOOKALIKES)
    assert found == tuple([] for _ in LOOKALIKES)


TEXTS = [
    "op.execute('CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT 1 FROM auth.users); END $$')",
    "op.execute('CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 FROM auth.users $$')",
    "op.execute('DO $$ BEGIN DELETE FROM users; END $$')",
]


def test_texts_of_functions_are_hints(tmp_path):
    for (found,) in check(tmp_path, *TEXTS):
        assert found.severity.value == "info"
        assert "whose text names" in found.message


def test_one_statement_names_one_table_once(tmp_path):
    (found,) = check(tmp_path, "op.execute('SELECT FROM auth.users a, auth.users b, users c')")
    assert len(found) == 2


SUPPRESSIONS = [
    ("# truing: allow forbidden-table-reference -- agreed\nop.drop_table('users')", []),
    ("op.drop_table('users')  # truing: allow forbidden-table-reference -- agreed", []),
    (
        "op.execute(\n    'SELECT 1 '\n    # truing: allow forbidden-table-reference -- agreed\n    'FROM auth.users'\n)",
        [],
    ),
    (
        'op.execute("""\n-- truing: allow forbidden-table-reference -- agreed\nSELECT 1 FROM auth.users\n""")',
        [],
    ),
    (
        "op.drop_table('users')\n# truing: allow forbidden-table-reference -- agreed\nop.drop_table('t')",
        ["forbidden-table-reference", "unused-suppression"],
    ),
    (
        "op.drop_table('users')  # truing: allow forbidden-table-reference",
        ["forbidden-table-reference", "unusable-suppression"],
    ),
    (
        "op.drop_table('users')  # truing: allow forbidden-tables -- typo",
        ["forbidden-table-reference", "unused-suppression"],
    ),
    ("op.execute(op.get_bind().execute(sa.text('SELECT 1')).scalar_one())", ["unrecordable-revision"]),
    (
        "# truing: allow unrecordable-revision -- asks once\nop.execute(op.get_bind().execute(sa.text('SELECT 1')).scalar_one())",
        [],
    ),
]


def test_suppressions(tmp_path):
    found = check(tmp_path, *(body for body, _ in SUPPRESSIONS))
    for (body, rules), each in zip(SUPPRESSIONS, found, strict=True):
        assert sorted(one.rule for one in each) == rules, body


def test_the_search_path_says_what_an_unqualified_name_is(tmp_path):
    body = "op.execute('SELECT FROM app.users')"
    assert [len(each) for each in check(tmp_path, body, search_path=("app",))] == [1]
    assert check(tmp_path / "again", body) == ([],)


def test_rules_can_be_left_out(tmp_path):
    assert check(tmp_path, "op.drop_table('users')", ignore=("TR101",)) == ([],)

"""Recording what revisions would run, with the lines that cause it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import ASYNC_ENV, make_project, revision
from truing import changes as c
from truing.errors import ProjectError, RevisionError
from truing.names import QualifiedName
from truing.revisions.record import RecordedRevision, RecordedStatement, record


def one(folder: Path, upgrade: str, **options: object) -> RecordedRevision:
    env = {key: options.pop(key) for key in ("env",) if key in options}
    (recorded,) = record(make_project(folder, revision("a1", upgrade, **options), **env))
    return recorded


def source_line(recorded: RecordedRevision, statement: RecordedStatement) -> str:
    assert statement.location.file == recorded.path
    return Path(recorded.path).read_text().splitlines()[statement.location.line - 1].strip()


def lines(recorded: RecordedRevision) -> list[tuple[str, str]]:
    """For each statement its first words and the source line it is blamed on."""
    return [(" ".join(each.sql.split()[:3]), source_line(recorded, each)) for each in recorded.statements]


def test_operations_are_recorded_with_their_names_and_changes(tmp_path: Path) -> None:
    recorded = one(
        tmp_path,
        """
        op.add_column("t", sa.Column("a", sa.String(5), nullable=False), schema="app")
        op.create_foreign_key("fk", "t", "p", ["a"], ["id"], ondelete="CASCADE", source_schema="app", referent_schema="app")
        op.alter_column("t", "a", type_=sa.Text, nullable=True)
        op.execute("DROP TABLE t")
        """,
    )
    t = QualifiedName("app", "t")
    assert [(each.operation, each.changes) for each in recorded.statements] == [
        ("add_column", (c.AddColumn(t, "a", "character varying(5)", nullable=False),)),
        (
            "create_foreign_key",
            (c.AddForeignKey(t, "fk", ("a",), QualifiedName("app", "p"), ("id",), on_delete="CASCADE"),),
        ),
        ("alter_column", (c.AlterColumnType(QualifiedName("public", "t"), "a", "text"),)),
        ("alter_column", (c.DropNotNull(QualifiedName("public", "t"), "a"),)),
        (None, (c.DropTable(QualifiedName("public", "t")),)),
    ]
    assert recorded.problem is None
    assert (recorded.message, recorded.down_revisions) == ("the a1 revision", ())


def test_several_statements_in_one_text_have_their_own_lines(tmp_path: Path) -> None:
    recorded = one(
        tmp_path,
        '''
        op.execute("""
            -- é ü 🐘
            UPDATE t SET a = 'é';

            ALTER TABLE t
                ADD b int;
            DROP TABLE x
        """)
        op.execute("DROP TABLE y; DROP TABLE z")
        ''',
    )
    assert lines(recorded) == [
        ("UPDATE t SET", "UPDATE t SET a = 'é';"),
        ("ALTER TABLE t", "ALTER TABLE t"),
        ("DROP TABLE x", "DROP TABLE x"),
        ("DROP TABLE y", 'op.execute("DROP TABLE y; DROP TABLE z")'),
        ("DROP TABLE z", 'op.execute("DROP TABLE y; DROP TABLE z")'),
    ]


def test_the_same_text_twice_is_found_where_it_was_used(tmp_path: Path) -> None:
    recorded = one(tmp_path, 'op.execute("DROP TABLE a")\nop.execute("DROP TABLE b")\nop.execute("DROP TABLE a")')
    assert [each.location.line for each in recorded.statements] == [8, 9, 10]


def test_a_helper_in_the_revision_is_blamed_at_its_own_line_and_one_elsewhere_at_its_call(tmp_path: Path) -> None:
    (tmp_path / "shared_of_this_test.py").write_text(
        "from alembic import op\ndef drop(name):\n    op.drop_table(name)\n"
    )
    source = revision(
        "a1",
        'helper()\ndrop("far")',
        head="from shared_of_this_test import drop\ndef helper():\n    op.drop_table('near')",
    )
    (recorded,) = record(make_project(tmp_path, source, options="prepend_sys_path = .\npath_separator = os\n"))
    assert lines(recorded) == [("DROP TABLE near", "op.drop_table('near')"), ("DROP TABLE far", 'drop("far")')]


def test_batch_operations_are_blamed_line_by_line(tmp_path: Path) -> None:
    recorded = one(
        tmp_path,
        """
        with op.batch_alter_table("t", schema="app") as batch:
            batch.add_column(sa.Column("a", sa.Integer))

            batch.create_unique_constraint("u", ["a"])
        op.drop_table("x")
        """,
    )
    assert [(each.operation, source_line(recorded, each)) for each in recorded.statements] == [
        ("add_column", 'batch.add_column(sa.Column("a", sa.Integer))'),
        ("create_unique_constraint", 'batch.create_unique_constraint("u", ["a"])'),
        ("drop_table", 'op.drop_table("x")'),
    ]


def test_a_batch_that_copies_the_table_needs_a_database(tmp_path: Path) -> None:
    recorded = one(tmp_path, 'with op.batch_alter_table("t", recreate="always") as batch:\n    batch.drop_column("a")')
    assert recorded.problem is not None
    assert "live database" in recorded.problem.message


def test_autocommit_blocks(tmp_path: Path) -> None:
    recorded = one(
        tmp_path,
        """
        op.drop_table("a")
        with op.get_context().autocommit_block():
            op.create_index("ix", "t", ["a"], postgresql_concurrently=True)
        op.drop_table("b")
        """,
    )
    assert [each.autocommit for each in recorded.statements] == [False, True, False]
    (index,) = recorded.statements[1].changes
    assert isinstance(index, c.CreateIndex)
    assert index.concurrently


def test_values_become_literals_and_percent_signs_stay(tmp_path: Path) -> None:
    recorded = one(
        tmp_path,
        r"""
        op.execute("UPDATE t SET a = '100%', b = 'x\\:y'")
        op.execute(sa.text("UPDATE t SET a = :a").bindparams(a="it's"))
        op.execute(sa.table("t", sa.column("a", sa.Uuid)).update().values(a=__import__("uuid").UUID(int=1)))
        op.execute(sa.table("t", sa.column("j", sa.JSON)).update().values(j={"a": 1}))
        op.bulk_insert(sa.table("t", sa.column("a", sa.Integer)), [{"a": 1}, {"a": 2}])
        op.get_bind().execute(sa.text("DELETE FROM t"))
        """,
    )
    assert [each.sql for each in recorded.statements] == [
        "UPDATE t SET a = '100%', b = 'x:y'",
        "UPDATE t SET a = 'it''s'",
        "UPDATE t SET a='00000000-0000-0000-0000-000000000001'",
        "UPDATE t SET j=$1::JSON",
        "INSERT INTO t (a) VALUES (1)",
        "INSERT INTO t (a) VALUES (2)",
        "DELETE FROM t",
    ]
    assert [each.problem for each in recorded.statements] == [""] * 7


def test_what_a_type_brings_with_it_is_recorded(tmp_path: Path) -> None:
    recorded = one(tmp_path, 'op.create_table("t", sa.Column("k", sa.Enum("x", name="kind")))')
    assert [(each.sql.split()[1], each.operation) for each in recorded.statements] == [
        ("TYPE", "create_table"),
        ("TABLE", "create_table"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("COPY t FROM STDIN nonsense x", "syntax error"), ("UPDATE t SET a = :forgotten", "syntax error")],
)
def test_sql_that_cannot_be_read_stays_visible(tmp_path: Path, text: str, problem: str) -> None:
    recorded = one(tmp_path, f"op.execute({text!r})\nop.drop_table('x')")
    unread, dropped = recorded.statements
    assert (unread.sql, unread.changes) == (text, (c.OtherStatement(QualifiedName("", ""), text, ""),))
    assert problem in unread.problem
    assert dropped.changes == (c.DropTable(QualifiedName("public", "x")),)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "rows = op.get_bind().execute(sa.text('SELECT 1')).fetchall()",
            "'NoneType' object has no attribute 'fetchall'",
        ),
        ("sa.inspect(op.get_bind()).get_table_names()", "NoInspectionAvailable"),
        ("sa.create_engine('postgresql+psycopg://u:secret@h/d').connect()", "a database connection is needed"),
        ("raise ValueError('first\\nsecond')", "ValueError: first"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def deep():\n    return 1 / 0\ndeep()", "ZeroDivisionError"),
        ("undefined_name", "NameError"),
    ],
    ids=["result", "inspector", "connection", "raises", "exit", "helper", "name"],
)
def test_a_revision_that_needs_a_database_is_a_finding(tmp_path: Path, code: str, message: str) -> None:
    recorded = one(tmp_path, f"op.drop_table('before')\n{code}\nop.drop_table('after')")
    problem = recorded.problem
    assert problem is not None
    assert (problem.rule, problem.subject, problem.revision) == ("unrecordable-revision", "a1", "a1")
    assert message in problem.message
    assert "\n" not in problem.message
    assert "secret" not in problem.message
    assert problem.location is not None
    assert problem.location.file == recorded.path
    assert problem.location.line == 9 + (code.count("\n") if "deep" not in code else 1)
    assert recorded.statements[0].sql == "DROP TABLE before"
    assert not any("after" in each.sql for each in recorded.statements)


def test_one_unreadable_revision_does_not_hide_the_others(tmp_path: Path) -> None:
    project = make_project(
        tmp_path,
        revision("a1", "1 / 0"),
        revision("a2", "op.drop_table('x')", down="a1"),
        revision("a3", "pass", down="a2"),
    )
    first, second, third = record(project)
    assert first.problem is not None
    assert [each.sql for each in second.statements] == ["DROP TABLE x"]
    assert (third.statements, third.problem) == ((), None)


def test_a_revision_may_ask_whether_it_is_offline(tmp_path: Path) -> None:
    recorded = one(tmp_path, "if not context.is_offline_mode():\n    1 / 0\nop.drop_table('x')")
    assert (len(recorded.statements), recorded.problem) == (1, None)


def test_downgrades_run_the_newest_first(tmp_path: Path) -> None:
    project = make_project(
        tmp_path,
        revision("a1", "pass", downgrade="op.drop_table('one')"),
        revision("a2", "pass", down="a1", downgrade="op.drop_table('two')"),
    )
    assert [each.statements[0].sql for each in record(project, direction="downgrade")] == [
        "DROP TABLE two",
        "DROP TABLE one",
    ]


def test_ranges_and_chosen_revisions(tmp_path: Path) -> None:
    project = make_project(
        tmp_path, *(revision(f"a{n}", "pass", down=f"a{n - 1}" if n > 1 else None) for n in (1, 2, 3, 4))
    )

    def names(*args: object, **kw: object) -> list[str]:
        return [each.revision for each in record(project, *args, **kw)]

    assert names() == ["a1", "a2", "a3", "a4"]
    assert names(lower="a1", upper="a3") == ["a2", "a3"]
    assert names(lower="a1", upper="a3", direction="downgrade") == ["a3", "a2"]
    assert names(["a4", "a2"]) == ["a4", "a2"]
    assert names([]) == []
    with pytest.raises(ProjectError, match="nope"):
        names(["nope"])


def test_several_heads_labels_and_dependencies(tmp_path: Path) -> None:
    project = make_project(
        tmp_path,
        revision("a1", "pass", branch_labels=("left",)),
        revision("b1", "pass", branch_labels=("right",), depends_on="a2"),
        revision("a2", "pass", down="a1"),
    )
    recorded = {each.revision: each for each in record(project)}
    assert list(recorded) == ["a1", "a2", "b1"]
    assert recorded["b1"].branch_labels == ("right",)
    assert recorded["b1"].down_revisions == ("a2",)
    assert [each.revision for each in record(project, upper="left@head")] == ["a1", "a2"]


@pytest.mark.parametrize(
    "env",
    [ASYNC_ENV, "import there_is_no_such_module", "pass", "raise SystemExit(1)"],
    ids=["async", "broken", "empty", "exits"],
)
def test_env_py_may_be_of_any_kind(tmp_path: Path, env: str) -> None:
    recorded = one(tmp_path, 'op.drop_table("x")', env=env)
    assert [each.sql for each in recorded.statements] == ["DROP TABLE x"]


def test_arguments_that_env_py_gives_to_upgrade_arrive(tmp_path: Path) -> None:
    env = (
        "from alembic import context\ncontext.configure(dialect_name='postgresql')\n"
        "with context.begin_transaction():\n    context.run_migrations(engine_name='e1')\n"
    )
    source = revision("a1", "op.drop_table(engine_name)").replace("def upgrade()", "def upgrade(engine_name)")
    (recorded,) = record(make_project(tmp_path, source, env=env))
    assert [each.sql for each in recorded.statements] == ["DROP TABLE e1"]


def test_what_revisions_print_does_not_disturb(tmp_path: Path) -> None:
    code = "print('{}')\nimport os, sys\nos.write(1, b'raw')\nsys.stdin.read()\nop.drop_table('x')"
    recorded = one(tmp_path, code, head="print('on import')")
    assert (len(recorded.statements), recorded.problem) == (1, None)


def test_a_folder_called_alembic_is_not_imported_instead_of_alembic(tmp_path: Path) -> None:
    (tmp_path / "alembic").mkdir()
    (tmp_path / "alembic" / "__init__.py").write_text("raise RuntimeError('not the package')")
    assert one(tmp_path, "pass").problem is None


def test_the_default_schema_is_a_parameter(tmp_path: Path) -> None:
    (recorded,) = record(make_project(tmp_path, revision("a1", "op.drop_table('x')")), default_schema="Te nant")
    assert recorded.statements[0].changes == (c.DropTable(QualifiedName("Te nant", "x")),)


ONLINE = """
from alembic.operations import MigrateOperation, Operations
from truing.changes import SetNotNull
from truing.names import QualifiedName

@Operations.register_operation("set_not_null_online")
class SetNotNullOnlineOp(MigrateOperation):
    def __init__(self, table, column):
        self.table, self.column = table, column

    @classmethod
    def set_not_null_online(cls, operations, table, column):
        return operations.invoke(cls(table, column))

@Operations.implementation_for(SetNotNullOnlineOp)
def run(operations, operation):
    record = operations.migration_context.opts.get("truing_record")
    if record is None:
        raise RuntimeError("it would have run")
    record(SetNotNull(QualifiedName("app", operation.table), operation.column), f"{operation.column} of {operation.table}")
"""


def test_online_operations_are_recorded_as_their_change_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "online_of_this_test.py").write_text(ONLINE)
    source = revision("a1", 'op.drop_table("x")\nop.set_not_null_online("t", "c")', head="import online_of_this_test")
    (recorded,) = record(make_project(tmp_path, source, options="prepend_sys_path = .\npath_separator = os\n"))
    assert recorded.problem is None
    _, online = recorded.statements
    assert online.changes == (c.SetNotNull(QualifiedName("app", "t"), "c"),)
    assert (online.online, online.autocommit, online.operation, online.sql) == (True, True, "set_not_null_online", "")
    assert online.title == "c of t"
    assert source_line(recorded, online) == 'op.set_not_null_online("t", "c")'


def test_a_revision_that_hangs_is_stopped(tmp_path: Path) -> None:
    project = make_project(tmp_path, revision("a1", "pass", head="import time; time.sleep(60)"))
    with pytest.raises(RevisionError, match="more than 2 seconds"):
        record(project, timeout=2)


def test_a_child_that_dies_is_an_error(tmp_path: Path) -> None:
    project = make_project(
        tmp_path, revision("a1", "import os, sys; sys.stderr.write('out of luck'); sys.stderr.flush(); os._exit(7)")
    )
    with pytest.raises(RevisionError, match="status 7") as caught:
        record(project)
    assert "out of luck" in caught.value.advice


def test_a_revision_file_that_cannot_be_imported_is_an_error_that_names_it(tmp_path: Path) -> None:
    project = make_project(tmp_path, revision("a1", "pass", head="import there_is_no_such_module"))
    with pytest.raises(ProjectError, match=r"r0001\.py:6: ModuleNotFoundError"):
        record(project)


def test_importing_revisions_leaves_this_process_alone(tmp_path: Path) -> None:
    head = "import pathlib; pathlib.Path('seen').write_text(str(__import__('os').getpid()))"
    record(make_project(tmp_path, revision("a1", "pass", head=head)))
    assert int((tmp_path / "seen").read_text()) != __import__("os").getpid()

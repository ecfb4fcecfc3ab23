"""Models that are used as well as judged: where the session fails a rule says so, where it does right none does."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import CircularDependencyError, IntegrityError, InvalidRequestError
from sqlalchemy.orm import Session

from tests.orm_models import judged_models

ID = "id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4, server_default=text('gen_random_uuid()'))"


def delete_parent(session, m):
    session.add(m.made())
    session.commit()
    session.delete(session.scalars(select(m.Parent)).one())
    session.commit()
    for name in m.gone:
        assert session.scalars(select(getattr(m, name))).all() == [], name


def family(kids, key="parents.id", *, below, gone="()", **options):
    """A parent, its kids, and what they own."""
    return f"""
        class Parent(Base):
            __tablename__ = "parents"
            {ID}
            kids: Mapped[list["Kid"]] = relationship(cascade="all, delete-orphan"{kids})
        class Kid(Base):
            __tablename__ = "kids"
            {ID}
            parent_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("{key}", ondelete="CASCADE"), index=True)
            {below["attribute"]}
        {below["classes"]}
        made = lambda: Parent(kids=[Kid({below["made"]})])
        gone = {gone}
        """


def toys(relationship, key):
    return {
        "attribute": f'toys: Mapped[list["Toy"]] = relationship({relationship})',
        "classes": f"""
        class Toy(Base):
            __tablename__ = "toys"
            {ID}
            kid_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("kids.id"{key}), index=True)
        """,
        "made": "toys=[Toy()]",
    }


ADDRESS = {
    "attribute": """address_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("addresses.id"), index=True)
            address: Mapped[Optional["Address"]] = relationship(cascade="all, delete-orphan", single_parent=True)""",
    "classes": f"""
        class Address(Base):
            __tablename__ = "addresses"
            {ID}
        """,
    "made": "address=Address()",
}


def tags(key):
    return {
        "attribute": 'tags: Mapped[list["Tag"]] = relationship(secondary="kid_tags")',
        "classes": f"""
        kid_tags = Table("kid_tags", Base.metadata,
            Column("kid_id", ForeignKey("kids.id"{key}), primary_key=True),
            Column("tag_id", ForeignKey("tags.id"), primary_key=True, index=True))
        class Tag(Base):
            __tablename__ = "tags"
            {ID}
        """,
        "made": "tags=[Tag()]",
    }


def joined(base, child):
    """A parent whose kids are of a class with two tables; the key to it in the one or the other."""
    key = 'parent_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parents.id", ondelete="CASCADE"), index=True)'
    return f"""
        class Parent(Base):
            __tablename__ = "parents"
            {ID}
            kids: Mapped[list["Kid"]] = relationship(cascade="all, delete-orphan", passive_deletes=True)
        class Party(Base):
            __tablename__ = "parties"
            __mapper_args__ = {{"polymorphic_on": "kind", "polymorphic_identity": "party"}}
            {ID}
            kind: Mapped[str] = mapped_column(CheckConstraint("kind IN ('party', 'kid')"))
            {key if base else ""}
        class Kid(Party):
            __tablename__ = "kids"
            __mapper_args__ = {{"polymorphic_identity": "kid"}}
            id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parties.id"{child}), primary_key=True)
            {"" if base else key}
        made = lambda: Parent(kids=[Kid()])
        gone = ("Party",)
        """


PASSIVE = ", passive_deletes=True"
OWN_KEY = 'Mapped[uuid.UUID] = mapped_column(ForeignKey("parents.id", ondelete="CASCADE"), index=True)'
CASCADE = ', ondelete="CASCADE"'
SET_NULL = ', ondelete="SET NULL"'
OWNED = 'cascade="all, delete-orphan"'
LEFT = ("passive-deletes-without-cascade", "Parent.kids")

DELETES = {
    "keys that the session empties": (family("", below=toys("", "")), None, []),
    "... and the database would have to": (family(PASSIVE, below=toys("", "")), IntegrityError, [LEFT]),
    "keys that both empty": (family(PASSIVE, below=toys("passive_deletes=True", SET_NULL)), None, []),
    "toys that the session deletes": (family("", below=toys(OWNED, ""), gone="('Toy',)"), None, []),
    "... and the database would have to delete": (family(PASSIVE, below=toys(OWNED, "")), IntegrityError, [LEFT]),
    "toys that both delete": (
        family(PASSIVE, below=toys(OWNED + PASSIVE, CASCADE), gone="('Kid', 'Toy')"),
        None,
        [],
    ),
    "an address that the session deletes": (family("", below=ADDRESS, gone="('Address',)"), None, []),
    "... and that the database leaves": (family(PASSIVE, below=ADDRESS, gone="('Address',)"), AssertionError, [LEFT]),
    "links that the session deletes": (family("", below=tags("")), None, []),
    "... and at which the database stops": (family(PASSIVE, below=tags("")), IntegrityError, [LEFT]),
    "links that both delete": (family(PASSIVE, below=tags(CASCADE)), None, []),
    "a kid's second row that stays": (joined(base=False, child=CASCADE), AssertionError, [LEFT]),
    "a kid's second row that is in the way": (
        joined(base=True, child=""),
        IntegrityError,
        [("joined-child-without-cascade", "Kid"), LEFT],
    ),
    "a kid's second row that goes along": (joined(base=True, child=CASCADE), None, []),
    "a tree of which all goes at once": (
        family(
            PASSIVE,
            below={
                "attribute": """above_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("kids.id"), index=True)
            under: Mapped[list["Kid"]] = relationship(back_populates="above")
            above: Mapped[Optional["Kid"]] = relationship(back_populates="under", remote_side="Kid.id")""",
                "classes": "",
                "made": "under=[Kid(parent_id=ONE)]",
            },
            gone="('Kid',)",
        )
        .replace("Parent(kids", "Parent(id=ONE, kids")
        .replace("made =", "ONE = uuid.uuid4()\n        made ="),
        None,
        [],
    ),
    "toys that go by a cascade of their own": (
        family(PASSIVE, below=toys(OWNED, ""), gone="('Toy',)")
        .replace("kid_id: Mapped", f"parent_id: {OWN_KEY}\n            kid_id: Mapped")
        .replace("Toy()", "Toy(parent_id=ONE)")
        .replace("Parent(kids", "Parent(id=ONE, kids")
        .replace("made =", "ONE = uuid.uuid4()\n        made ="),
        None,
        [],
    ),
    "links that are only written": (
        f"""
        class Parent(Base):
            __tablename__ = "parents"
            {ID}
            tags: WriteOnlyMapped["Tag"] = relationship(secondary="parent_tags")
        {tags("")["classes"].replace("kid", "parent")}
        made = Parent
        gone = ()
        """,
        InvalidRequestError,
        [("undeletable-parent", "Parent.tags")],
    ),
    "links that are only written, and deleted by the database": (
        f"""
        class Parent(Base):
            __tablename__ = "parents"
            {ID}
            tags: WriteOnlyMapped["Tag"] = relationship(secondary="parent_tags", passive_deletes=True)
        {tags(CASCADE)["classes"].replace("kid", "parent")}
        made = Parent
        gone = ("Parent",)
        """,
        None,
        [],
    ),
}


@pytest.mark.parametrize("case", DELETES)
def test_deleting_a_parent(case, tmp_path, database):
    code, error, expected = DELETES[case]
    assert_used(tmp_path, database, code, delete_parent, error, expected)


def assert_used(tmp_path, database, code, use, error, expected):
    with judged_models(tmp_path, database, code) as (module, findings):
        engine = create_engine(database.url)
        try:
            with Session(engine) as session:
                if error is None:
                    use(session, module)
                else:
                    with pytest.raises(error):
                        use(session, module)
        finally:
            engine.dispose()
    assert [(each.rule, each.subject) for each in findings] == expected, findings


def employees(info, manager="", sql=""):
    return f"""
        class Employee(Base):
            __tablename__ = "employees"
            __mapper_args__ = {{"polymorphic_on": "kind"}}
            {ID}
            kind: Mapped[str] = mapped_column(CheckConstraint("kind IN ('engineer', 'manager')"))
        class Engineer(Employee):
            __mapper_args__ = {{"polymorphic_identity": "engineer"}}
            info: Mapped[str] = mapped_column({info})
        class Manager(Employee):
            __mapper_args__ = {{"polymorphic_identity": "manager"}}
            {manager}
        given = {"{'info': 'x'}" if "info" in manager else "{}"}
        {sql}
        """


REQUIRED = [("unmapped-required-column", "public.employees.info")]
TABLE = """__tablename__ = "managers"
            id: Mapped[uuid.UUID] = mapped_column(ForeignKey("employees.id", ondelete="CASCADE"), primary_key=True)"""
SHARED = {
    "required": (employees(""), IntegrityError, REQUIRED),
    "required there only": (
        employees("nullable=True", sql='op.execute("ALTER TABLE employees ALTER info SET NOT NULL")'),
        IntegrityError,
        REQUIRED,
    ),
    "required, and the other has a table of its own": (employees("", TABLE), IntegrityError, REQUIRED),
    "optional": (employees("nullable=True"), None, []),
    "with a default": (employees("default='', server_default=''"), None, []),
    "required of both": (
        employees("", "info: Mapped[str] = mapped_column(use_existing_column=True)"),
        None,
        [],
    ),
}


@pytest.mark.parametrize("case", SHARED)
def test_a_column_of_one_class_in_the_table_of_several(case, tmp_path, database):
    def use(session, m):
        session.add(m.Manager(**m.given))
        session.flush()

    assert_used(tmp_path, database, SHARED[case][0], use, *SHARED[case][1:])


def widgets(entries="", widget="", favourite=""):
    return f"""
        class Widget(Base):
            __tablename__ = "widgets"
            {ID}
            best_id: Mapped[uuid.UUID | None] = mapped_column(
                ForeignKey("entries.id", use_alter=True, name="best"), index=True)
            entries: Mapped[list["Entry"]] = relationship(
                foreign_keys="Entry.widget_id", back_populates="widget"{entries})
            best: Mapped[Optional["Entry"]] = relationship(foreign_keys=best_id{favourite})
        class Entry(Base):
            __tablename__ = "entries"
            {ID}
            widget_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("widgets.id", name="of"), index=True)
            widget: Mapped[Optional[Widget]] = relationship(
                foreign_keys=widget_id, back_populates="entries"{widget})
        """


LATER = ", post_update=True"
CIRCLE = [("flush-cycle-without-post-update", "public.entries.of")]


@pytest.mark.parametrize(
    ("models", "error", "expected"),
    [
        (widgets(), CircularDependencyError, CIRCLE),
        (widgets(entries=LATER), CircularDependencyError, CIRCLE),
        (widgets(entries=LATER, widget=LATER), None, []),
        (widgets(favourite=LATER), None, []),
    ],
    ids=["neither", "one side", "both sides", "the optional one"],
)
def test_rows_that_refer_to_each_other(models, error, expected, tmp_path, database):
    def use(session, m):
        entry = m.Entry()
        session.add(m.Widget(entries=[entry], best=entry))
        session.flush()

    assert_used(tmp_path, database, models, use, error, expected)


def test_what_is_deleted_along_a_circle_fails_even_one_after_the_other(tmp_path, database):
    def use(session, m):
        entry = m.Entry()
        widget = m.Widget(entries=[entry])
        session.add(widget)
        session.commit()
        widget.best = entry
        session.commit()
        session.delete(widget)
        session.commit()

    assert_used(tmp_path, database, widgets(entries=f", {OWNED}"), use, CircularDependencyError, CIRCLE)


def test_a_circle_that_holds_the_tenant_is_told_another_remedy(tmp_path, database):
    """What is NOT NULL cannot be written by a later UPDATE."""
    both = 'ForeignKeyConstraint(["tenant_id", "{0}_id"], ["{0}s.tenant_id", "{0}s.id"], use_alter={1}, name="to_{0}")'
    code = "".join(
        f"""
        class {one.title()}(Base):
            __tablename__ = "{one}s"
            __table_args__ = (UniqueConstraint("tenant_id", "id"), {both.format(other, one == "team")},
                Index(None, "{other}_id", "tenant_id"))
            {ID}
            tenant_id: Mapped[uuid.UUID]
            {other}_id: Mapped[uuid.UUID | None]
            {other}: Mapped[Optional["{other.title()}"]] = relationship(
                foreign_keys="[{one.title()}.tenant_id, {one.title()}.{other}_id]")
        """
        for one, other in (("team", "lead"), ("lead", "team"))
    )
    with judged_models(tmp_path, database, code) as (_, findings):
        (finding,) = [each for each in findings if each.rule == "flush-cycle-without-post-update"]
        assert "viewonly=True" in finding.remedy


def trigger(column, event):
    return f"""
        class Document(Base):
            __tablename__ = "documents"
            {ID}
            body: Mapped[str]
            stamp: Mapped[str] = mapped_column(Text, {column})
        op.execute('''CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.stamp := 'mine'; RETURN NEW; END $$''')
        op.execute("CREATE TRIGGER stamp BEFORE {event} ON documents FOR EACH ROW EXECUTE FUNCTION stamp()")
        """


STALE = [("undeclared-trigger-value", "Document.stamp")]


@pytest.mark.parametrize(
    ("models", "error", "expected"),
    [
        (trigger("server_default='', onupdate=func.concat('x')", "UPDATE"), None, []),
        (trigger("server_default='', onupdate=lambda: 'x'", "UPDATE"), AssertionError, STALE),
        (
            trigger("server_default='', onupdate=lambda: 'x', server_onupdate=FetchedValue()", "UPDATE"),
            AssertionError,
            [],
        ),
        (trigger("default=func.concat('x')", "INSERT"), None, []),
        (trigger("default='x'", "INSERT"), AssertionError, STALE),
    ],
    ids=["onupdate SQL", "onupdate Python", "both", "default SQL", "default Python"],
)
def test_what_a_trigger_writes_over(models, error, expected, tmp_path, database):
    def use(session, m):
        document = m.Document(body="a")
        session.add(document)
        session.flush()
        if "UPDATE" in models:
            document.body = "b"
            session.flush()
        assert document.stamp == "mine"

    assert_used(tmp_path, database, models, use, error, expected)


def kinds(check, sql=""):
    return f"""
        class Order(Base):
            __tablename__ = "orders"
            {ID}
            state: Mapped[str] = mapped_column(Enum("open", "paid", native_enum=False, length=9), {check})
        {sql}
        """


TEXT = [("unchecked-enum", "Order.state")]


@pytest.mark.parametrize(
    ("check", "error", "expected"),
    [
        ("state IS NOT NULL", LookupError, TEXT),
        ("state <> ''", LookupError, TEXT),
        ("btrim(state) <> ''", LookupError, TEXT),
        ("length(state) BETWEEN 3 AND 9", LookupError, TEXT),
        ("state IS NOT NULL AND state IN ('open', 'paid')", IntegrityError, []),
        ("state ~ '^(open|paid)$'", IntegrityError, []),
    ],
)
def test_a_check_that_says_nothing_of_the_value_keeps_none_out(check, error, expected, tmp_path, database):
    def use(session, m):
        session.execute(text("INSERT INTO orders (state) VALUES ('odd')"))
        session.scalars(select(m.Order)).all()

    assert_used(tmp_path, database, kinds(f'CheckConstraint("{check}")'), use, error, expected)


@pytest.mark.pg(">=18")
def test_a_check_that_is_not_enforced_refuses_nothing(tmp_path, database):
    def use(session, m):
        session.add(m.Order(state="paid"))
        session.flush()

    code = kinds("", """op.execute("ALTER TABLE orders ADD CONSTRAINT odd CHECK (state IN ('open')) NOT ENFORCED")""")
    assert_used(tmp_path, database, code, use, None, [("unvalidated-constraint", "public.orders.odd"), *TEXT])


def members(column, *, mapped):
    key = 'ForeignKey("{}.id", ondelete="CASCADE"), primary_key=True'
    columns = [f'Column("user_id", {key.format("users")})', f'Column("team_id", {key.format("teams")}, index=True)']
    table = f'members = Table("members", Base.metadata, {", ".join(columns)}, Column("role", Text, {column}))'
    options = ', overlaps="users,teams"' if mapped else ""
    return f"""
        {table}
        class User(Base):
            __tablename__ = "users"
            {ID}
            teams: Mapped[list["Team"]] = relationship(secondary="members"{options}, back_populates="users")
        class Team(Base):
            __tablename__ = "teams"
            {ID}
            users: Mapped[list["User"]] = relationship(secondary="members"{options}, back_populates="teams")
        {'Member = type("Member", (Base,), {"__table__": members})' if mapped else ""}
        """


@pytest.mark.parametrize(
    ("models", "error", "severity"),
    [
        (members("nullable=False", mapped=False), IntegrityError, "error"),
        (members("nullable=False", mapped=True), IntegrityError, "warning"),
        (members("nullable=False, default='x', server_default='x'", mapped=False), None, None),
        (members("nullable=True", mapped=True), None, None),
    ],
    ids=["required", "required, and mapped", "with a default", "optional"],
)
def test_a_secondary_with_more_than_its_keys(models, error, severity, tmp_path, database):
    def use(session, m):
        session.add(m.User(teams=[m.Team()]))
        session.flush()

    expected = [("unmapped-required-column", "public.members.role")] if error else []
    assert_used(tmp_path, database, models, use, error, expected)
    with judged_models(tmp_path, database, models) as (_, findings):
        assert [str(each.severity) for each in findings] == ([severity] if severity else [])


def teams(options):
    return f"""
        class Team(Base):
            __tablename__ = "teams"
            __table_args__ = (UniqueConstraint("tenant_id", "id"),)
            {ID}
            tenant_id: Mapped[uuid.UUID]
            members: Mapped[list["Member"]] = relationship(back_populates="team"{options})
        class Member(Base):
            __tablename__ = "members"
            __table_args__ = (
                ForeignKeyConstraint(["tenant_id", "team_id"], ["teams.tenant_id", "teams.id"], name="fk",
                    ondelete="SET NULL (team_id)"),
                Index(None, "team_id", "tenant_id"))
            {ID}
            tenant_id: Mapped[uuid.UUID]
            team_id: Mapped[uuid.UUID | None]
            team: Mapped[Team | None] = relationship(back_populates="members")
        """


@pytest.mark.pg(">=15")
@pytest.mark.parametrize(
    ("options", "error"),
    [("", IntegrityError), (", passive_deletes=True", IntegrityError), (', passive_deletes="all"', None)],
)
def test_a_key_of_which_the_database_empties_a_part(options, error, tmp_path, database):
    def use(session, m):
        team = m.Team(tenant_id=uuid.uuid4())
        session.add(team)
        session.add(m.Member(tenant_id=team.tenant_id, team=team))
        session.commit()
        assert team.members
        session.delete(team)
        session.commit()
        assert session.scalars(select(m.Member)).one().team_id is None

    expected = [("undeletable-parent", "Team.members")] if error else []
    assert_used(tmp_path, database, teams(options), use, error, expected)


def countries(key, options=", passive_updates=False"):
    return f"""
        class Country(Base):
            __tablename__ = "countries"
            code: Mapped[str] = mapped_column(primary_key=True)
            cities: Mapped[list["City"]] = relationship(back_populates="country"{options})
        class City(Base):
            __tablename__ = "cities"
            {ID}
            country_code: Mapped[str | None] = mapped_column(ForeignKey("countries.code"{key}), index=True)
            country: Mapped[Country | None] = relationship(back_populates="cities")
        """


@pytest.mark.parametrize(
    ("models", "error", "expected"),
    [
        (countries(""), IntegrityError, [("session-only-update-cascade", "Country.cities")]),
        (countries(', onupdate="CASCADE"'), None, [("repeated-update-cascade", "Country.cities")]),
        (countries(', deferrable=True, initially="DEFERRED"'), None, []),
        (countries(', onupdate="CASCADE"', ""), None, []),
    ],
    ids=["checked at once", "done twice", "checked later", "done by the database"],
)
def test_a_key_that_changes(models, error, expected, tmp_path, database):
    def use(session, m):
        country = m.Country(code="a", cities=[m.City()])
        session.add(country)
        session.commit()
        country.code = "b"
        session.commit()

    assert_used(tmp_path, database, models, use, error, expected)


def test_a_relationship_that_is_never_none_by_its_annotation_alone(tmp_path, database):
    def use(session, m):
        session.add(m.Kid())
        session.flush()
        assert session.scalars(select(m.Kid)).one().parent is not None

    code = f"""
        class Parent(Base):
            __tablename__ = "parents"
            {ID}
        class Kid(Base):
            __tablename__ = "kids"
            {ID}
            parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("parents.id"), index=True)
            parent: Mapped[Parent] = relationship()
        """
    assert_used(tmp_path, database, code, use, AssertionError, [("misleading-relationship", "Kid.parent")])


TWO = """created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
            updated_at: Mapped[dt.datetime] = mapped_column(
                DateTime(timezone=True), server_default=func.now(){})"""
FETCHED = TWO.format(", server_onupdate=FetchedValue()")
SLUG = "slug: Mapped[str | None] = mapped_column(Text{})"
GIVEN = SLUG.format(", default='x'")
NOW = "clock_timestamp();"
UPDATED = [("undeclared-trigger-value", "Document.updated_at")]
SLUGGED = [("undeclared-trigger-value", "Document.slug")]


@pytest.mark.parametrize(
    ("columns", "body", "error", "expected"),
    [
        (FETCHED, f"IF TG_OP = 'INSERT' THEN NEW.created_at := {NOW} END IF; NEW.updated_at := {NOW}", None, []),
        (
            FETCHED,
            f"IF TG_OP = 'UPDATE' THEN NEW.created_at := OLD.created_at; NEW.updated_at := {NOW} END IF;",
            None,
            [],
        ),
        (TWO.format(""), f"IF TG_OP = 'UPDATE' THEN NEW.updated_at := {NOW} END IF;", AssertionError, UPDATED),
        (GIVEN, "IF NEW.slug IS NULL THEN NEW.slug := 'y'; END IF;", None, []),
        (GIVEN, "NEW.slug := COALESCE(NEW.slug, 'y');", None, []),
        (GIVEN, "NEW.slug := COALESCE(NEW.body, 'y');", AssertionError, SLUGGED),
        (SLUG.format(""), "NEW.slug := COALESCE(NEW.slug, 'y');", AssertionError, SLUGGED),
    ],
    ids=[
        "insert's branch",
        "put back",
        "update's branch",
        "if missing",
        "or else",
        "of another",
        "or else, and missing",
    ],
)
def test_what_a_trigger_does_in_its_branches(columns, body, error, expected, tmp_path, database):
    def use(session, m):
        document = m.Document(body="a")
        session.add(document)
        session.flush()
        document.body = "b"
        session.flush()
        seen = {each.key: getattr(document, each.key) for each in m.Document.__table__.c}
        session.refresh(document)
        assert seen == {each.key: getattr(document, each.key) for each in m.Document.__table__.c}

    code = f"""
        class Document(Base):
            __tablename__ = "documents"
            {ID}
            body: Mapped[str]
            {columns}
        op.execute('''CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$''')
        op.execute(
            "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON documents FOR EACH ROW EXECUTE FUNCTION stamp()")
        """
    assert_used(tmp_path, database, code, use, error, expected)

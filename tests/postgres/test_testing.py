"""The assertions for people's own tests: each passes and fails, and the failure says what is there instead."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import Column, ForeignKey, Integer, Table, create_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    backref,
    mapped_column,
    relationship,
    scoped_session,
    sessionmaker,
)

from truing.names import QualifiedName
from truing.testing import (
    assert_column,
    assert_foreign_key,
    assert_index,
    assert_primary_key,
    assert_relationship,
    assert_unique,
)

SCHEMA = r"""
CREATE SCHEMA app; CREATE SCHEMA "We""ird";
CREATE TYPE app.mood AS ENUM ('ok');
CREATE TABLE app.tenants (gone int, a uuid NOT NULL, id uuid DEFAULT gen_random_uuid(), PRIMARY KEY (id), UNIQUE (id, a));
ALTER TABLE app.tenants DROP COLUMN gone;
CREATE TABLE app.profiles (
    name varchar(50) DEFAULT 'nobody', "E-mail" text NOT NULL, made timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid NOT NULL, a uuid, mood app.mood, tags text[],
    whole text GENERATED ALWAYS AS (name || 'x') STORED, price numeric(10, 2), gone_at timestamptz,
    CONSTRAINT profiles_tenant FOREIGN KEY (tenant_id) REFERENCES app.tenants ON DELETE CASCADE,
    CONSTRAINT both_ways FOREIGN KEY (a, tenant_id) REFERENCES app.tenants (a, id) DEFERRABLE
);
ALTER TABLE app.profiles ADD CONSTRAINT unproved FOREIGN KEY (a) REFERENCES app.tenants (id) ON DELETE SET NULL NOT VALID;
COMMENT ON COLUMN app.profiles.name IS 'for people';
CREATE UNIQUE INDEX one_alive ON app.profiles (tenant_id, "E-mail") WHERE gone_at IS NULL;
CREATE UNIQUE INDEX one_name ON app.profiles (tenant_id, name) NULLS NOT DISTINCT;
CREATE INDEX lower_name ON app.profiles (lower(name), a) INCLUDE (price, made);
CREATE INDEX added ON app.profiles USING btree ((price + 1));
CREATE TABLE "We""ird"."or""der" ("sel""ect" int PRIMARY KEY);
CREATE VIEW app.seen AS SELECT * FROM app.profiles;
"""


@pytest.fixture
def live(database):
    if database.version.major < 15:
        pytest.skip("the fixture has NULLS NOT DISTINCT")
    database.execute(SCHEMA)
    connection = database.connect()
    connection.execute("SET search_path = app")
    return connection


def failure(function, *arguments, **options) -> str:
    with pytest.raises(AssertionError) as caught:
        function(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("column", "asked"),
    [
        ("name", {"type": "varchar(50)", "nullable": True, "default": "'nobody'", "comment": "for people"}),
        ("name", {"type": "character varying(50)", "default": "'nobody'::character varying"}),
        ("E-mail", {"type": "text", "nullable": False, "default": None, "identity": "", "generated": None}),
        ("made", {"type": "timestamptz", "default": "current_timestamp", "comment": None}),
        ("id", {"type": "int8", "identity": "always", "default": None}),
        ("mood", {"type": "mood"}),
        ("mood", {"type": "app.mood"}),
        ("tags", {"type": "text []"}),
        ("price", {"type": "decimal(10,2)"}),
        ("whole", {"generated": "((name)::text || 'x'::text)", "default": None}),
        ("tenant_id", {}),
    ],
)
def test_a_column_that_is_so(live, column, asked):
    assert_column(live, "profiles", column, **asked)
    assert_column(live, "app.profiles", column, **asked)


@pytest.mark.parametrize(
    ("column", "asked", "said"),
    [
        ("tenant_id", {"type": "text"}, "type: uuid, expected text"),
        ("name", {"type": "varchar"}, "type: character varying(50), expected character varying"),
        ("made", {"type": "timestamptz(3)"}, "type: timestamp with time zone, expected timestamp(3) with time zone"),
        ("tenant_id", {"nullable": True}, "nullable: False, expected True"),
        ("name", {"default": None}, "default: 'nobody'::character varying, expected none"),
        ("tenant_id", {"default": "gen_random_uuid()"}, "default: none, expected gen_random_uuid()"),
        ("made", {"default": "clock_timestamp()"}, "default: CURRENT_TIMESTAMP, expected clock_timestamp()"),
        ("id", {"identity": "by default"}, "identity: always, expected by default"),
        ("whole", {"generated": None}, "generated: ((name)::text || 'x'::text), expected none"),
        ("name", {"comment": None}, "comment: for people, expected none"),
    ],
)
def test_a_column_that_is_not_so(live, column, asked, said):
    text = failure(assert_column, live, "profiles", column, **asked)
    assert text.splitlines() == [f"app.profiles.{column} is not as expected.", "It differs in:", f"  {said}"]


def test_a_column_that_is_not_there(live):
    text = failure(assert_column, live, "profiles", "tenantid")
    assert text.startswith("app.profiles has no column tenantid. Did you mean tenant_id?\nIts columns:\n")
    assert '  "E-mail" text\n' in text


def test_a_table_that_is_not_there(live):
    text = failure(assert_column, live, "public.profiles", "id")
    assert text == "There is no table public.profiles.\nPerhaps one of these:\n  app.profiles"
    assert "  app.profiles" in failure(assert_column, live, "profile", "id")
    text = failure(assert_column, live, "zzz", "id")
    assert text.startswith("There is no table app.zzz.\nThere are:\n")
    assert '  "We""ird"."or""der"' in text
    assert failure(assert_column, live, "seen", "id") == "app.seen is a view, not a table."


def test_what_postgresql_does_not_take_is_said(live):
    with pytest.raises(ValueError, match='PostgreSQL does not take nonsense: type "nonsense" does not exist'):
        assert_column(live, "profiles", "id", type="nonsense")
    with pytest.raises(ValueError, match="DEFAULT 1 \\+"):
        assert_column(live, "profiles", "id", default="1 +")
    live.execute("SET default_transaction_read_only = on")
    with pytest.raises(ValueError, match="a connection that only reads cannot ask"):
        assert_column(live, "profiles", "name", type="varchar(50)")
    # As PostgreSQL prints it, nobody has to be asked.
    assert_column(live, "profiles", "name", type="character varying(50)", default="'nobody'::character varying")


def test_one_name_is_not_taken_for_a_list_of_letters(live):
    for ask in (assert_primary_key, assert_unique, assert_index):
        with pytest.raises(TypeError, match=r"columns are given as a list: \['id'\]"):
            ask(live, "profiles", "id")
    with pytest.raises(TypeError, match="given as a list"):
        assert_foreign_key(live, "profiles", ["tenant_id"], "tenants", "id")
    with pytest.raises(ValueError, match="1 and 2 columns"):
        assert_foreign_key(live, "profiles", ["tenant_id"], "tenants", ["id", "name"])


def test_names_that_have_to_be_quoted(live):
    assert_column(live, '"We""ird"."or""der"', 'sel"ect', type="int", nullable=False)
    assert_column(live, QualifiedName('We"ird', 'or"der'), 'sel"ect')
    assert_primary_key(live, QualifiedName('We"ird', 'or"der'), ['sel"ect'])
    assert failure(assert_column, live, '"We""ird"."or""der"', 'sel"ect', type="text").startswith(
        '"We""ird"."or""der"."sel""ect" is not as expected.'
    )


@pytest.mark.parametrize(
    ("columns", "referenced", "asked"),
    [
        (["tenant_id"], ["id"], {"on_delete": "CASCADE", "on_update": "NO ACTION", "validated": True, "name": "profiles_tenant"}),
        (["a"], ["id"], {"on_delete": "SET NULL", "validated": False}),
        (["a", "tenant_id"], ["a", "id"], {"deferrable": True, "initially_deferred": False, "match_full": False}),
        (["tenant_id", "a"], ["id", "a"], {"name": "both_ways"}),
    ],
)  # fmt: skip
def test_a_foreign_key_that_is_so(live, columns, referenced, asked):
    assert_foreign_key(live, "profiles", columns, "tenants", referenced, **asked)
    assert_foreign_key(live, "app.profiles", columns, "app.tenants", referenced, **asked)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"on_delete": "SET NULL"}, "on_delete: CASCADE, expected SET NULL"),
        ({"on_update": "CASCADE"}, "on_update: NO ACTION, expected CASCADE"),
        ({"validated": False}, "validated: True, expected False"),
        ({"deferrable": True}, "deferrable: False, expected True"),
        ({"initially_deferred": True}, "initially_deferred: False, expected True"),
        ({"match_full": True}, "match_full: False, expected True"),
        ({"name": "other"}, "name: profiles_tenant, expected other"),
    ],
)
def test_a_foreign_key_that_is_not_so(live, asked, said):
    text = failure(assert_foreign_key, live, "profiles", ["tenant_id"], "tenants", ["id"], **asked)
    assert text == (
        "The foreign key (tenant_id) to app.tenants (id) of app.profiles is not as expected (profiles_tenant).\n"
        f"It differs in:\n  {said}"
    )


def test_a_foreign_key_that_is_not_there(live):
    for columns, referenced in ((["a", "tenant_id"], ["id", "a"]), (["name"], ["id"])):
        text = failure(assert_foreign_key, live, "profiles", columns, "tenants", referenced)
        assert f"app.profiles has no foreign key ({', '.join(columns)}) to app.tenants" in text
        assert (
            "  profiles_tenant: FOREIGN KEY (tenant_id) REFERENCES app.tenants(id) ON DELETE CASCADE"
            in text.splitlines()
        )
    assert failure(assert_foreign_key, live, "tenants", ["id"], "profiles", ["a"]).endswith("foreign keys:\n  (none)")


def test_a_primary_key(live):
    assert_primary_key(live, "profiles", ["id"], name="profiles_pkey")
    assert "  profiles_pkey: PRIMARY KEY (id)" in failure(assert_primary_key, live, "profiles", ["tenant_id"])
    assert "name: profiles_pkey, expected pk" in failure(assert_primary_key, live, "profiles", ["id"], name="pk")


def test_what_is_unique(live):
    assert_unique(live, "tenants", ["a", "id"], deferrable=False)
    assert_unique(live, "tenants", ["id"], name="tenants_pkey")
    assert_unique(live, "profiles", ["name", "tenant_id"], nulls_not_distinct=True)
    text = failure(assert_unique, live, "profiles", ["tenant_id", "name"], nulls_not_distinct=False, name="x")
    assert text.splitlines()[1:] == [
        "It differs in:",
        "  name: one_name, expected x",
        "  nulls_not_distinct: True, expected False",
    ]
    # Not among deleted rows, so not unique.
    text = failure(assert_unique, live, "profiles", ["tenant_id", "E-mail"])
    assert text.startswith('app.profiles has no unique (tenant_id, "E-mail").\nIts unique indexes:\n')
    assert "WHERE (gone_at IS NULL)" in text


@pytest.mark.parametrize(
    ("columns", "asked"),
    [
        (["tenant_id", "E-mail"], {"unique": True, "where": "gone_at is null", "name": "one_alive", "method": "btree"}),
        (["tenant_id", "E-mail"], {"where": "(gone_at IS NULL)"}),
        (["lower(name)", "a"], {"include": ["made", "price"], "where": None, "unique": False}),
        (["LOWER(name::text)", "a"], {}),
        (["price+1"], {"name": "added", "include": []}),
        (["id"], {"name": "profiles_pkey"}),
    ],
)
def test_an_index_that_is_so(live, columns, asked):
    assert_index(live, "profiles", columns, **asked)


@pytest.mark.parametrize(
    ("columns", "asked", "said"),
    [
        (["tenant_id", "E-mail"], {"where": None}, "  where: (gone_at IS NULL), expected none"),
        (
            ["tenant_id", "E-mail"],
            {"where": "gone_at is not null"},
            "  where: (gone_at IS NULL), expected (gone_at IS NOT NULL)",
        ),
        (["tenant_id", "E-mail"], {"unique": False}, "  unique: True, expected False"),
        (["tenant_id", "E-mail"], {"method": "gin"}, "  method: btree, expected gin"),
        (["tenant_id", "E-mail"], {"include": ["a"]}, "  include: (), expected ('a',)"),
        (["tenant_id", "E-mail"], {"valid": False}, "  valid: True, expected False"),
        (["E-mail", "tenant_id"], {}, "app.profiles has no index (E-mail, tenant_id)."),
        (["tenant_id"], {}, "app.profiles has no index (tenant_id)."),
        (["upper(name)", "a"], {}, "app.profiles has no index (upper(name), a)."),
        (["price + 2"], {}, "app.profiles has no index (price + 2)."),
    ],
)
def test_an_index_that_is_not_so(live, columns, asked, said):
    assert said in failure(assert_index, live, "profiles", columns, **asked).splitlines()


def test_what_the_database_may_be(live, database):
    """A connection in a transaction sees what it has done, and is left as it was."""
    engine = create_engine(database.url.replace("postgresql://", "postgresql+psycopg://", 1))
    assert_column(engine, "app.tenants", "a", type="uuid", default=None)
    with engine.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE app.tenants ADD COLUMN new varchar(3) DEFAULT 'x'")
        assert_column(connection, "app.tenants", "new", type="varchar(3)", default="'x'")
        assert connection.in_transaction()
        connection.rollback()
    with Session(engine) as session:
        session.connection().exec_driver_sql("ALTER TABLE app.tenants ADD COLUMN new int")
        assert_column(session, "app.tenants", "new", type="int")
        session.rollback()
    registry = scoped_session(sessionmaker(engine))
    assert "no column new" in failure(assert_column, registry, "app.tenants", "new")
    registry.remove()
    engine.dispose()
    with psycopg.connect(database.dsn) as connection:
        assert_column(connection, "app.tenants", "id", type="uuid")
    for wrong in (database.url, None):
        with pytest.raises(TypeError, match=r"is no database: these functions need a connection of psycopg 3"):
            assert_column(wrong, "app.tenants", "id")


def test_another_driver_is_refused():
    engine = create_engine("sqlite://")
    with pytest.raises(TypeError, match=r"sqlite3.Connection is another driver's: these functions need"):
        assert_column(engine, "app.tenants", "id")
    engine.dispose()


class Base(DeclarativeBase):
    pass


links = Table("links", Base.metadata, Column("a", ForeignKey("tenant.id")), Column("b", ForeignKey("profile.id")))


class Tenant(Base):
    __tablename__ = "tenant"
    id: Mapped[int] = mapped_column(primary_key=True)
    profiles: Mapped[list[Profile]] = relationship(
        back_populates="tenant", cascade="all, delete-orphan", passive_deletes=True
    )
    linked: Mapped[list[Profile]] = relationship(secondary=links, viewonly=True)


class Profile(Base):
    __tablename__ = "profile"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenant.id"))
    tenant: Mapped[Tenant] = relationship(back_populates="profiles")
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("profile.id"))
    boss: Mapped[Profile | None] = relationship(remote_side="Profile.id", backref=backref("team"))


def test_a_relationship_that_is_so():
    assert_relationship(Profile.tenant, target=Tenant, back_populates="profiles", uselist=False, secondary=None)
    assert_relationship(Tenant.profiles, target="Profile", uselist=True, passive_deletes=True, viewonly=False)
    assert_relationship(Tenant.profiles, cascade="delete-orphan, all", back_populates="tenant")
    assert_relationship(Tenant.linked, secondary="links", viewonly=True, back_populates=None)
    assert_relationship(Profile.boss, target=Profile, back_populates="team")


@pytest.mark.parametrize(
    ("attribute", "asked", "said"),
    [
        (Profile.tenant, {"target": Profile}, "target: Tenant, expected Profile"),
        (Profile.tenant, {"target": "Tenants"}, "target: Tenant, expected Tenants"),
        (Profile.tenant, {"back_populates": None}, "back_populates: profiles, expected none"),
        (Tenant.linked, {"back_populates": "x"}, "back_populates: none, expected x"),
        (Profile.tenant, {"uselist": True}, "uselist: False, expected True"),
        (Tenant.linked, {"secondary": None}, "secondary: links, expected none"),
        (Tenant.profiles, {"passive_deletes": "all"}, "passive_deletes: True, expected all"),
        (Tenant.linked, {"viewonly": False}, "viewonly: True, expected False"),
        (Profile.tenant, {"cascade": "all"}, "cascade: merge, save-update, expected delete, expunge, merge, refresh-expire, save-update"),
    ],
)  # fmt: skip
def test_a_relationship_that_is_not_so(attribute, asked, said):
    text = failure(assert_relationship, attribute, **asked)
    assert text == f"{attribute} is not as expected.\nIt differs in:\n  {said}"


def test_a_class_of_the_same_name_is_another():
    other = type("Tenant", (), {"__module__": "elsewhere"})
    assert "expected the class of elsewhere" in failure(assert_relationship, Profile.tenant, target=other)


def test_what_is_no_relationship():
    text = failure(assert_relationship, Profile.tenant_id)
    assert text.startswith("Profile.tenant_id is no relationship.\nRelationships of Profile:\n")
    assert "  team: list of Profile" in text
    assert "  tenant: Tenant" in text

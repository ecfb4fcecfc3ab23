"""More models: one table for each thing that SQLAlchemy can say and PostgreSQL keeps, under names that hurt.

Three MetaData, as large projects have them: `plain` (names made by PostgreSQL), `named` (a naming convention) and `elsewhere` (a
schema of its own). `newer` holds what needs PostgreSQL 18. A table's name says what it is about.
"""

from __future__ import annotations

import enum
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, relationship

SCHEMA = 'El"se where é'
CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
plain = sa.MetaData()
named = sa.MetaData(naming_convention=CONVENTION)
elsewhere = sa.MetaData(schema=SCHEMA)
newer = sa.MetaData()

T, C, I, S = sa.Table, sa.Column, sa.Integer, sa.String  # noqa: E741 - a page of tables is read by its columns
text = sa.text


def key(**options: Any) -> sa.Column[Any]:
    return C("id", I, primary_key=True, **options)


sa.event.listen(
    plain,
    "before_create",
    sa.DDL(
        "".join(f"CREATE EXTENSION IF NOT EXISTS {name}; " for name in ("citext", "hstore", "btree_gist", "pg_trgm"))
    ),
)

# -- types -------------------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    GREEN = 'it\'s; "green"'
    BLUE = "b\nlue é"


shared = sa.Enum(Colour, name="shared colour")
by_value = sa.Enum(Colour, name="by_value", values_callable=lambda each: [one.value for one in each])
positive = pg.DOMAIN("positive number", I, check=text("VALUE > 0"), default=text("1"))

TYPES: dict[str, Any] = {
    "float_24": sa.Float(24), "float_53": sa.Float(53), "double": pg.DOUBLE_PRECISION(), "numeric_scale_0": sa.Numeric(5, 0),
    "numeric_only_precision": sa.Numeric(7), "numeric_max": sa.Numeric(1000, 500), "char": sa.CHAR(), "char_10_c": sa.CHAR(10, collation="C"),
    "nchar": sa.NCHAR(4), "unicode_text": sa.UnicodeText(), "text_posix": sa.Text(collation="POSIX"), "varchar_max": S(10485760),
    "time_0": pg.TIME(precision=0), "timetz_6": pg.TIME(timezone=True, precision=6), "timestamp_6": pg.TIMESTAMP(precision=6),
    **{f"interval_{fields.lower().replace(' ', '_')}": pg.INTERVAL(fields=fields) for fields in (
        "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "YEAR TO MONTH", "DAY TO HOUR", "DAY TO MINUTE", "DAY TO SECOND",
        "HOUR TO MINUTE", "HOUR TO SECOND", "MINUTE TO SECOND")},
    "interval_0": pg.INTERVAL(precision=0), "interval_second_2": pg.INTERVAL(fields="SECOND", precision=2),
    "interval_native": sa.Interval(second_precision=4), "bit_1": pg.BIT(), "varbit": pg.BIT(varying=True), "uuid_text": sa.Uuid(native_uuid=False),
    "uuid_pg": pg.UUID(), "regconfig": pg.REGCONFIG(), "int8multirange": pg.INT8MULTIRANGE(), "nummultirange": pg.NUMMULTIRANGE(),
    "datemultirange": pg.DATEMULTIRANGE(), "tsmultirange": pg.TSMULTIRANGE(), "array_3": pg.ARRAY(I, dimensions=3),
    "array_numeric": pg.ARRAY(sa.Numeric(9, 3)), "array_timestamptz": pg.ARRAY(pg.TIMESTAMP(timezone=True, precision=3)),
    "array_uuid": pg.ARRAY(sa.Uuid), "array_jsonb": pg.ARRAY(pg.JSONB), "array_range": pg.ARRAY(pg.INT4RANGE), "array_enum": pg.ARRAY(shared),
    "array_domain": pg.ARRAY(positive), "array_collated": pg.ARRAY(sa.Text(collation="C")), "array_bit": pg.ARRAY(pg.BIT(3)),
    "array_interval": pg.ARRAY(pg.INTERVAL(fields="DAY TO SECOND", precision=1)), "array_inet": pg.ARRAY(pg.INET), "hstore_pg": pg.HSTORE(),
    "enum_shared": shared, "enum_by_value": by_value, "enum_text": sa.Enum(Colour, native_enum=False, length=40),
    "domain": positive, "domain_not_null": pg.DOMAIN("must", S(3), not_null=True),
    "domain_collated": pg.DOMAIN("collated", sa.Text, collation="C"), "domain_named_check": pg.DOMAIN("checked", sa.Text, constraint_name="a check",
        check=text("VALUE ~ '^[a-z%]+$'")), "domain_of_domain": pg.DOMAIN("of_domain", positive), "json_none_as_null": sa.JSON(none_as_null=True),
    "variant": sa.Text().with_variant(pg.CITEXT(), "postgresql"), "decorated": sa.PickleType(), "citext_array": pg.ARRAY(pg.CITEXT),
}  # fmt: skip
for _name, _type in TYPES.items():
    _column = C("value", _type)
    T(f"t {_name}", plain, key(), _column, C("must", _type, nullable=False))

# -- defaults ----------------------------------------------------------------------------------------------------------

DEFAULTS: dict[str, tuple[Any, Any]] = {
    "jsonb_object": (pg.JSONB, '{"a": [1, "it\'s", ":b", "100%"]}'), "jsonb_cast": (pg.JSONB, text("'{}'::jsonb")),
    "jsonb_function": (pg.JSONB, sa.func.jsonb_build_object("a", 1)), "json_text": (sa.JSON, text("'[ ]'")),
    "range": (pg.INT4RANGE, "[1,5)"), "range_function": (pg.TSTZRANGE, sa.func.tstzrange(sa.func.now(), None)),
    "multirange": (pg.INT4MULTIRANGE, "{[1,3),[5,9)}"), "interval": (pg.INTERVAL(fields="DAY TO SECOND", precision=0), "1 day 02:03:04.5"),
    "array_enum": (pg.ARRAY(shared), "{RED}"), "array_cast": (pg.ARRAY(S(5)), text("ARRAY['a', 'b']::varchar[]")), "enum": (shared, "BLUE"),
    "domain": (positive, "7"), "bytea": (sa.LargeBinary, text("'\\x00ff'::bytea")), "bits": (pg.BIT(3), text("B'101'")),
    "char_padded": (sa.CHAR(5), "ab"), "null": (sa.Text, text("NULL")), "backslash": (sa.Text, "a\\b\nc"), "colon": (sa.Text, "a :b ::c"),
    "negative": (sa.Numeric(8, 3), text("-1.250")), "power": (sa.Float, text("1e-3")), "case": (I, text("CASE WHEN now() > 'epoch' THEN 1 ELSE 2 END")),
    "concatenation": (sa.Text, text("'a' || current_user")), "local": (sa.DateTime, text("LOCALTIMESTAMP(0)")), "clock": (sa.DateTime(True), sa.func.clock_timestamp()),
    "at_zone": (sa.DateTime, text("(now() AT TIME ZONE 'UTC')")), "inet": (pg.INET, "10.0.0.0/8"), "money": (pg.MONEY, "1.5"), "oid": (pg.REGCLASS, "pg_class"),
    "sequence": (I, text("nextval('a_plain_sequence')")), "random": (sa.Float, sa.func.random()), "time": (sa.Time, "12:34:56"), "bool_text": (sa.Boolean, "yes"),
    "uuid_literal": (sa.Uuid, str(uuid.UUID(int=7))), "hstore": (pg.HSTORE, "a=>1"), "array_2": (pg.ARRAY(I, dimensions=2), "{{1,2},{3,4}}"),
    "citext": (pg.CITEXT, "X"), "date_cast": (sa.Date, text("'2020-02-29'::date")), "timestamptz_offset": (sa.DateTime(True), "2020-01-01 00:00:00-05:30"),
}  # fmt: skip
a_plain_sequence = sa.Sequence("a_plain_sequence", metadata=plain, minvalue=-5, maxvalue=500, cycle=True)
for _name, (_type, _default) in DEFAULTS.items():
    T(f"d {_name}", plain, key(), C("value", _type, server_default=_default))

# -- columns that count and compute ------------------------------------------------------------------------------------

T("c smallserial", plain, C("id", sa.SmallInteger, primary_key=True))
T("c bigserial", plain, C("id", sa.BigInteger, primary_key=True), C("other", sa.BigInteger, autoincrement=False))
T("c no serial", plain, C("id", I, primary_key=True, autoincrement=False))
T("c identity", plain, C("id", sa.SmallInteger, sa.Identity(always=False, minvalue=-3, maxvalue=99, start=-3, increment=3, cycle=True, cache=5), primary_key=True))  # fmt: skip
T("c identity down", plain, C("id", sa.BigInteger, sa.Identity(always=True, increment=-1, start=-1), primary_key=True))
T("c identity beside", plain, key(), C("number", I, sa.Identity()))
T("c sequence", plain, C("id", I, sa.Sequence("c own", data_type=sa.SmallInteger, start=3), primary_key=True))
c_sequence = sa.Sequence('c "sequence"', metadata=plain)
T("c sequence default", plain, C("id", I, c_sequence, server_default=c_sequence.next_value(), primary_key=True))
T("c computed", plain, key(), C("a", sa.Text), C("b", sa.Text, sa.Computed("lower(a) || '100%'", persisted=True)))
T("c computed jsonb", plain, key(), C("doc", pg.JSONB), C("name", sa.Text, sa.Computed("doc ->> 'name'", persisted=True), index=True))  # fmt: skip
T("c computed tsvector", plain, key(), C("body", sa.Text), C("found", pg.TSVECTOR, sa.Computed("to_tsvector('english'::regconfig, coalesce(body, ''))", persisted=True)), sa.Index("c found", "found", postgresql_using="gin"))  # fmt: skip
T("c commented", plain, key(comment='it\'s :a \\ 100% "x"\nand é <b>'), comment="of the table:\n'x' %s %(a)s")
T("c key differs", plain, key(), C("in the database", I, key="in_python"))
T("c none", plain)
T("c many", plain, key(), *(C(f"c{number}", I) for number in range(300)))
T("c system", plain, key(), C("t xmin", I), C("value", I, system=False))
T("v newer computed", newer, key(), C("a", I), C("b", I, sa.Computed("a * 2", persisted=False)))

# -- constraints -------------------------------------------------------------------------------------------------------

T("k parent", plain, key(), C("a", I), C("b", I), C("code", S(9), unique=True), sa.UniqueConstraint("b", "a"))
T("k composite", plain, C("b", I, primary_key=True), C("a", I, primary_key=True), C("c", I))
T(
    "k named",
    plain,
    C("id", I),
    sa.PrimaryKeyConstraint("id", name="a named key", deferrable=True, initially="DEFERRED"),
)
T("k include", plain, C("id", I), C("more", I), sa.PrimaryKeyConstraint("id", postgresql_include=["more"]))
T("k unique deferrable", plain, key(), C("a", I), sa.UniqueConstraint("a", deferrable=True, initially="IMMEDIATE"))
T("k unique include", plain, key(), C("a", I), C("b", I), sa.UniqueConstraint("a", postgresql_include=["b"]))
T("k unique nulls", plain, key(), C("a", I), sa.UniqueConstraint("a", postgresql_nulls_not_distinct=True))
T("k unique twice", plain, key(), C("a", I), C("b", I), sa.UniqueConstraint("a", "b"), sa.UniqueConstraint("b", "a"))
T("k unique index too", plain, key(), C("a", I, unique=True, index=True), C("b", I, unique=True), C("c", I, index=True))
T("k checks", plain, key(), C("a", I), *(sa.CheckConstraint(f"a <> {number}") for number in range(3)))
T("k check no inherit", plain, key(), C("a", I), sa.CheckConstraint("a > 0 OR a IS NULL", name="k ck", postgresql_not_valid=True))  # fmt: skip
T("k check words", plain, key(), C("a", sa.Text), sa.CheckConstraint("a IN ('x', 'it''s', '%') AND a NOT LIKE '%\\_%' AND a BETWEEN 'a' AND 'z'"))  # fmt: skip
T("k check python", plain, key(), C("a", I), C("b", I), sa.CheckConstraint(sa.and_(sa.column("a") > 1, sa.column("b").in_([1, 2]))))  # fmt: skip
T("k check enum", plain, key(), C("a", sa.Enum("x", "it's", native_enum=False, create_constraint=True, name="k enum")))
T("k foreign", plain, key(), C("parent", sa.ForeignKey("k parent.id", ondelete="CASCADE", onupdate="SET DEFAULT")))
T("k foreign deferred", plain, key(), C("parent", sa.ForeignKey("k parent.id", deferrable=True, initially="DEFERRED")))
T("k foreign full", plain, key(), C("a", I), C("b", I), sa.ForeignKeyConstraint(["b", "a"], ["k composite.b", "k composite.a"], match="FULL"))  # fmt: skip
T("k foreign code", plain, key(), C("code", sa.ForeignKey("k parent.code", ondelete="SET NULL", name="a key é")))
T("k foreign columns", plain, key(), C("a", I), C("b", I), sa.ForeignKeyConstraint(["b", "a"], ["k composite.b", "k composite.a"], ondelete="SET NULL (a)"))  # fmt: skip
T("k foreign not valid", plain, key(), C("a", I), sa.ForeignKeyConstraint(["a"], ["k parent.id"], postgresql_not_valid=True))  # fmt: skip
T("k foreign twice", plain, key(), C("a", sa.ForeignKey("k parent.id")), sa.ForeignKeyConstraint(["a"], ["k parent.id"], name="k again"))  # fmt: skip
T("k itself", plain, key(), C("parent", sa.ForeignKey("k itself.id", ondelete="RESTRICT")))
T("k ring a", plain, key(), C("next", sa.ForeignKey("k ring b.id", name="k ring a next", use_alter=True)))
T("k ring b", plain, key(), C("next", sa.ForeignKey("k ring c.id", name="k ring b next")))
T("k ring c", plain, key(), C("next", sa.ForeignKey("k ring a.id", name="k ring c next")))
T("k two ways a", plain, key(), C("other", sa.ForeignKey("k two ways b.id", use_alter=True, name="k two ways a other")))
T("k two ways b", plain, key(), C("other", sa.ForeignKey("k two ways a.id")))
T("k exclude", plain, key(), C("room", I), C("during", pg.TSTZRANGE), pg.ExcludeConstraint(("room", "="), ("during", "&&"), using="gist", name="k ex", where=text("room > 0")))  # fmt: skip
T("k exclude expression", plain, key(), C("a", I), C("b", I), pg.ExcludeConstraint((text("int4range(a, b, '[]')"), "&&"), name="k ex 2", deferrable=True, initially="DEFERRED"))  # fmt: skip
T("k exclude opclass", plain, key(), C("a", sa.Text), pg.ExcludeConstraint((C("a"), "="), using="btree", ops={"a": "text_pattern_ops"}, name="k ex 3"))  # fmt: skip

# -- indexes -----------------------------------------------------------------------------------------------------------


def indexed(what: str, *expressions: Any, **options: Any) -> None:
    T(f"i {what}", plain, key(), C("a", sa.Text), C("b", I), C("doc", pg.JSONB), C("Odd Name", sa.Text), C("at", sa.DateTime),
      C("spot", pg.INT4RANGE), C("list", pg.ARRAY(I)), sa.Index(f"index {what}", *expressions, **options))  # fmt: skip


indexed("unique", "a", "b", unique=True)
indexed("unique nulls", "a", unique=True, postgresql_nulls_not_distinct=True)
indexed("partial", "a", postgresql_where=text("b IN (1, 2) AND a LIKE '50%'"))
indexed("partial python", "a", postgresql_where=sa.column("b") > 5)
indexed("unique partial", "a", unique=True, postgresql_where=text("b IS NULL"))
indexed("expression", text('lower("Odd Name")'), text("(b + 1)"))
indexed("expression python", sa.func.lower(sa.column("a")), unique=True)
indexed("expression cast", text("(doc ->> 'a')"), text("((doc ->> 'n')::int)"))
indexed("coalesce", text("coalesce(a, '')"), text("coalesce(b, 0)"))
indexed("order", text("a DESC"), text("b ASC NULLS FIRST"), text("at DESC NULLS LAST"))
indexed("order python", sa.desc("a"), sa.column("b").asc().nulls_first())
indexed("covering", "b", postgresql_include=["a", "Odd Name"])
indexed("hash", "a", postgresql_using="hash")
indexed("brin", "at", postgresql_using="brin", postgresql_with={"pages_per_range": 16, "autosummarize": True})
indexed("gin", "doc", postgresql_using="gin")
indexed("gin list", "list", postgresql_using="gin", postgresql_with={"fastupdate": "off"})
indexed("gin path", "doc", postgresql_using="gin", postgresql_ops={"doc": "jsonb_path_ops"})
indexed("gin trigram", "a", postgresql_using="gin", postgresql_ops={"a": "gin_trgm_ops"})
indexed("gist", "spot", postgresql_using="gist", postgresql_with={"buffering": "off"})
indexed("gist trigram", "a", postgresql_using="gist", postgresql_ops={"a": "gist_trgm_ops(siglen=64)"})
indexed("spgist", "spot", postgresql_using="spgist")
indexed("opclass", "a", "b", postgresql_ops={"a": "varchar_pattern_ops", "b": "int4_ops"})
indexed("opclass labelled", sa.func.lower(sa.column("a")).label("low"), postgresql_ops={"low": "text_pattern_ops"})
indexed("collation", text('a COLLATE "C"'), text('a COLLATE "POSIX" text_pattern_ops DESC'))
indexed("fillfactor", "a", postgresql_with={"fillfactor": 70, "deduplicate_items": "off"})
indexed("tablespace", "a", postgresql_tablespace="pg_default")
indexed("odd", "Odd Name")
indexed("same name as a column", "a")
T("i same columns", plain, key(), C("a", I), sa.Index("i one", "a"), sa.Index("i two", "a"), sa.Index("i three", "a", unique=True))  # fmt: skip
T("i only elsewhere", plain, key(), C("a", I), sa.Index("i on sqlite", "a").ddl_if(dialect="sqlite"), sa.Index("i here", "a").ddl_if(dialect="postgresql"))  # fmt: skip
T("i constraint only elsewhere", plain, key(), C("a", I), sa.CheckConstraint("a > 1", name="i ck").ddl_if(dialect="sqlite"))  # fmt: skip
T("i called", plain, key(), C("a", I), sa.Index("i when old", "a").ddl_if(callable_=lambda _ddl, _target, connection, **_: connection.dialect.server_version_info < (9,)))  # fmt: skip

# -- tables ------------------------------------------------------------------------------------------------------------

T("s unlogged", plain, key(), prefixes=["UNLOGGED"])
T("s options", plain, key(), postgresql_with={"fillfactor": 60, "autovacuum_enabled": False, "toast.autovacuum_enabled": False})  # fmt: skip
T("s tablespace", plain, key(), postgresql_tablespace="pg_default")
T("s heap", plain, key(), postgresql_using="heap")
T("s base", plain, key(), C("a", S(20), server_default="x"), sa.CheckConstraint("a <> ''", name="s base ck"))
T("s inherits", plain, C("more", I), postgresql_inherits="s base").add_is_dependent_on(plain.tables["s base"])
T("s inherits again", plain, C("a", S(20), server_default="y"), postgresql_inherits=("s base",)).add_is_dependent_on(plain.tables["s base"])  # fmt: skip
T("s range", plain, C("at", sa.Date, primary_key=True), C("a", I, index=True), postgresql_partition_by="RANGE (at)")
T("s list", plain, C("a", sa.Text), C("b", I), sa.UniqueConstraint("a", "b"), postgresql_partition_by="LIST (a)")
T("s hash", plain, C("a", I), C("b", I), postgresql_partition_by="HASH (a, b)")
T("s expression", plain, C("a", sa.Text), postgresql_partition_by='LIST (lower(a) COLLATE "C")')
T("s partitioned", plain, key(), postgresql_partition_by="RANGE (id)")
sa.event.listen(
    plain.tables["s partitioned"],
    "after_create",
    sa.DDL('CREATE TABLE "s part" PARTITION OF "s partitioned" FOR VALUES FROM (1) TO (9)'),
)
T("s security", plain, key(), C("tenant", I))
for _statement in (
    'ALTER TABLE "s security" ENABLE ROW LEVEL SECURITY',
    'ALTER TABLE "s security" FORCE ROW LEVEL SECURITY',
    """CREATE POLICY "it's" ON "s security" USING (tenant = current_setting('app.tenant')::int)""",
    'CREATE STATISTICS "s statistics" ON id, tenant FROM "s security"',
    'ALTER TABLE "s security" REPLICA IDENTITY FULL',
    'ALTER TABLE "s security" ALTER tenant SET STATISTICS 500, ALTER tenant SET (n_distinct = 9)',
):
    sa.event.listen(plain.tables["s security"], "after_create", sa.DDL(_statement))
T("s watched", plain, key(), C("note", sa.Text))
for _statement in (
    "CREATE FUNCTION \"s touch\"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := format('%%s', 1); RETURN NEW; END $$",
    'CREATE TRIGGER "a trigger" BEFORE UPDATE OF note ON "s watched" FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION "s touch"()',
    'CREATE VIEW "s view" AS SELECT id, upper(note) AS "Loud" FROM "s watched" WHERE note LIKE \'a%%\'',
    'CREATE MATERIALIZED VIEW "s kept" AS SELECT count(*) AS n FROM "s view"',
    'CREATE UNIQUE INDEX "s kept n" ON "s kept" (n)',
):
    sa.event.listen(plain.tables["s watched"], "after_create", sa.DDL(_statement))

# -- names -------------------------------------------------------------------------------------------------------------

NAMES = [
    "select", "user", "order", "UPPER", "Mixed Case", 'a "quoted" one', "it's", "semi; --", "a.b", "per%cent", "per%(x)s", "co:lon", "new\nline",
    "tab\there", "back\\slash", "émoji 🐘", "$dollar$", "1st", "_", "<b>bold</b>", "\x1b[31mred", "“curly”", "x" * 63, "é" * 31, "ö" * 40, "table", "Ω",
]  # fmt: skip
for _number, _name in enumerate(NAMES):
    T(
        _name,
        elsewhere if _number % 2 else plain,
        C(_name, I, primary_key=True, comment=_name),
        C(f"{_name[:25]} 2", sa.Text, index=True, unique=bool(_number % 3)),
        sa.CheckConstraint("1 = 1", name=f"{_name[:25]} ck"),
    )
T("l" * 60, plain, key(), C("l" * 59 + "a", I, index=True), C("l" * 59 + "b", I, unique=True), C("c" * 63, I, sa.ForeignKey("k parent.id")))  # fmt: skip
T(
    "l" * 59 + "2",
    plain,
    key(),
    C("a", I, unique=True),
    C("b", I, unique=True),
    C("fk", sa.ForeignKey("l" * 60 + ".id")),
)
T("n" * 60, named, key(), C("n" * 60, I, index=True, unique=True), C("other", sa.ForeignKey("n" * 60 + ".id")), sa.CheckConstraint("other > 0", name="x" * 60))  # fmt: skip
T("n convention", named, key(), C("a", I, index=True), C("b", sa.ForeignKey("n convention.id")), C("ok", sa.Boolean(create_constraint=True, name="yes")), sa.UniqueConstraint("a", "b"), sa.CheckConstraint("a > 0", name="above"), sa.CheckConstraint("b > 0", name=sa.schema.conv("kept as it is")))  # fmt: skip
T("n enum", named, key(), C("a", sa.Enum("x", "y", native_enum=False, create_constraint=True, name="a")), C("b", sa.Enum("x", "y", name="n native", metadata=named)))  # fmt: skip
T(
    "e child",
    elsewhere,
    key(),
    C("parent", sa.ForeignKey(f"{SCHEMA}.e parent.id")),
    C("colour", sa.Enum("a", "b", name="e colour", schema=SCHEMA)),
)
T("e parent", elsewhere, key(), C("colours", pg.ARRAY(sa.Enum("a", "b", name="e colour", schema=SCHEMA))), C("n", I, sa.Sequence("e n", schema=SCHEMA)))  # fmt: skip
T("e inherits", elsewhere, key(), C("colour", sa.Enum("p", "q", name="e inherited", metadata=elsewhere)), C("again", sa.Enum("p", "q", name="e inherited", metadata=elsewhere)))  # fmt: skip
T("k parent", elsewhere, key(), C("same name", sa.Text, unique=True), sa.Index("index unique", "same name"))

# -- mapped classes ----------------------------------------------------------------------------------------------------


class Base(DeclarativeBase):
    metadata = named
    type_annotation_map = {str: sa.Text, uuid.UUID: sa.Uuid}  # noqa: RUF012 - SQLAlchemy's own name


class Stamped:
    made: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity())
    changed = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now(), onupdate=sa.func.now())

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805 - of the class
        return (sa.Index(None, "made", "changed"),)


class Animal(Stamped, Base):
    __tablename__ = "o animal"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=sa.func.gen_random_uuid())
    kind: Mapped[str] = mapped_column(index=True)
    version: Mapped[int] = mapped_column()
    food: Mapped[list[Food]] = relationship(secondary="o eats")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal", "version_id_col": version}  # noqa: RUF012


class Dog(Animal):
    __tablename__ = "o dog"
    id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("o animal.id", ondelete="CASCADE"), primary_key=True)
    tricks: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012
    __table_args__ = ()


class Cat(Animal):
    lives: Mapped[int | None] = mapped_column(server_default="9")
    __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012


class Food(Base):
    __tablename__ = "o food"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(30), unique=True)


T("o eats", named, C("animal", sa.ForeignKey(Animal.id), primary_key=True), C("food", sa.ForeignKey(Food.id), primary_key=True, index=True))  # fmt: skip
loud = sa.CreateView(sa.select(Food.__table__.c.id, sa.func.upper(Food.__table__.c.name).label("Loud")), "o loud", metadata=named)  # fmt: skip

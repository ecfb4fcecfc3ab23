"""Models of every kind that SQLAlchemy can say and PostgreSQL can hold: comparing them with their own tables says nothing."""

from __future__ import annotations

import enum

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Mood(enum.Enum):
    sad = "sad"
    happy = 'it\'s "ok"'


TYPES = {
    "smallint": sa.SmallInteger(), "integer": sa.Integer(), "bigint": sa.BigInteger(), "numeric": sa.Numeric(),
    "numeric_10_2": sa.Numeric(10, 2), "real": sa.REAL(), "double": sa.Double(), "text": sa.Text(),
    "varchar": sa.String(), "varchar_50": sa.String(50), "char_3": sa.CHAR(3), "collated": sa.String(collation="C"),
    "unicode": sa.Unicode(20), "boolean": sa.Boolean(), "date": sa.Date(), "time": sa.Time(),
    "timetz": sa.Time(timezone=True), "timestamp": sa.DateTime(), "timestamptz": sa.DateTime(timezone=True),
    "timestamp_0": pg.TIMESTAMP(precision=0), "timestamptz_3": pg.TIMESTAMP(timezone=True, precision=3),
    "time_2": pg.TIME(precision=2), "interval": sa.Interval(), "interval_year": pg.INTERVAL(fields="YEAR"),
    "interval_precise": pg.INTERVAL(fields="DAY TO SECOND", precision=3), "uuid": sa.Uuid(), "bytea": sa.LargeBinary(),
    "json": sa.JSON(), "jsonb": pg.JSONB(), "array": sa.ARRAY(sa.Integer), "array_2": pg.ARRAY(sa.Text, dimensions=2),
    "array_varchar": pg.ARRAY(sa.String(9)), "inet": pg.INET(), "cidr": pg.CIDR(), "macaddr": pg.MACADDR(),
    "macaddr8": pg.MACADDR8(), "bit": pg.BIT(5), "varbit": pg.BIT(7, varying=True), "money": pg.MONEY(), "oid": pg.OID(),
    "regclass": pg.REGCLASS(), "tsvector": pg.TSVECTOR(), "tsquery": pg.TSQUERY(), "int4range": pg.INT4RANGE(),
    "int8range": pg.INT8RANGE(), "numrange": pg.NUMRANGE(), "daterange": pg.DATERANGE(), "tsrange": pg.TSRANGE(),
    "tstzrange": pg.TSTZRANGE(), "int4multirange": pg.INT4MULTIRANGE(), "tstzmultirange": pg.TSTZMULTIRANGE(),
    "jsonpath": pg.JSONPATH(), "enum": sa.Enum(Mood, name="mood"), "enum_check": sa.Enum("a", "b", native_enum=False, create_constraint=True, name="ab"),
    "enum_schema": sa.Enum("x", "y", name="Quoted Enum", schema='Other "schema"'), "enum_array": pg.ARRAY(sa.Enum("p", "q", name="pq")),
    "citext": pg.CITEXT(), "hstore": pg.HSTORE(), "domain": pg.DOMAIN("positive", sa.Integer, check=sa.text("VALUE > 0"), not_null=False),
    "domain_text": pg.DOMAIN("short_text", sa.String(9), default="x"), "pickle": sa.PickleType(),
    "bool_check": sa.Boolean(create_constraint=True, name="flag"),
}  # fmt: skip

for _name, _type in TYPES.items():
    sa.Table(
        f"type_{_name}",
        Base.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("value", _type, nullable=_name not in {"text", "uuid"}),
        # The CHECK of a type has one name, so a table can have one column of it.
        *([] if "check" in _name else [sa.Column("always", _type, comment=f"a {_name} of 'everybody' at 100%")]),
    )

DEFAULTS = {
    "now": (sa.DateTime(timezone=True), sa.func.now()),
    "current_timestamp": (sa.DateTime(), sa.text("CURRENT_TIMESTAMP")),
    "current_date": (sa.Date, sa.text("CURRENT_DATE")),
    "utc": (sa.DateTime(), sa.text("timezone('utc', now())")),
    "uuid": (sa.Uuid, sa.text("gen_random_uuid()")),
    "text": (sa.Text, "it's"),
    "percent": (sa.Text, "100%"),
    "empty": (sa.String(5), ""),
    "number": (sa.Integer, "0"),
    "negative": (sa.Integer, sa.text("-1")),
    "float": (sa.Float, "1.5"),
    "true": (sa.Boolean, sa.true()),
    "false_text": (sa.Boolean, "false"),
    "json": (sa.JSON, "{}"),
    "jsonb": (pg.JSONB, sa.text("'[]'::jsonb")),
    "array": (pg.ARRAY(sa.Text), "{}"),
    "array_cast": (pg.ARRAY(sa.Text), sa.text("ARRAY[]::text[]")),
    "interval": (sa.Interval, sa.text("interval '1 day'")),
    "moment": (sa.DateTime(timezone=True), sa.text("'2000-01-01 00:00:00+02'")),
    "enum": (sa.Enum("low", "high", name="level"), "low"),
    "expression": (sa.Integer, sa.text("1 + 2")),
    "numeric": (sa.Numeric(10, 2), sa.text("0.00")),
}
sa.Table(
    "defaults",
    Base.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    *(sa.Column(name, kind, server_default=default) for name, (kind, default) in DEFAULTS.items()),
)


class Parent(Base):
    __tablename__ = "parent"
    __table_args__ = (
        sa.UniqueConstraint("code", "region"),
        sa.CheckConstraint("code <> '' AND region IN ('b', 'a')", name="code"),
        sa.CheckConstraint("length(code) > 1", name="long"),
        {"comment": "the 'parents'"},
    )
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True, start=10, increment=5), primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(20), index=True)
    region: Mapped[str]
    twice: Mapped[int] = mapped_column(sa.Computed("length(code) * 2", persisted=True))
    sequenced: Mapped[int] = mapped_column(sa.Sequence("a_sequence", start=7, increment=2, cache=3))


class Child(Base):
    __tablename__ = "child"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["code", "region"], ["parent.code", "parent.region"], onupdate="CASCADE", ondelete="SET NULL", match="FULL"
        ),
        sa.Index("child_lower", sa.text("lower(name)")),
        sa.Index("child_desc", sa.text("name DESC NULLS LAST"), "size"),
        sa.Index("child_part", "size", postgresql_where=sa.text("size > 0 AND name IS NOT NULL")),
        sa.Index("child_inc", "size", postgresql_include=["name"]),
        sa.Index("child_gin", "doc", postgresql_using="gin", postgresql_ops={"doc": "jsonb_path_ops"}),
        sa.Index("child_with", "size", postgresql_with={"fillfactor": 50}),
        sa.Index("child_unique", "name", "size", unique=True, postgresql_where=sa.text("doc IS NULL")),
        sa.Index("child_func", sa.func.coalesce(sa.text("name"), sa.text("''::text"))),
        pg.ExcludeConstraint(("during", "&&"), using="gist", name="child_ex", where=sa.text("size > 1")),
        {"schema": 'Other "schema"', "postgresql_with": {"fillfactor": 70}},
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(
        sa.BigInteger, sa.ForeignKey("parent.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"), index=True
    )
    code: Mapped[str | None] = mapped_column(sa.String(20))
    region: Mapped[str | None]
    name: Mapped[str | None] = mapped_column(sa.Text)
    size: Mapped[int] = mapped_column(server_default="3")
    doc: Mapped[dict | None] = mapped_column(pg.JSONB)
    during = mapped_column(pg.TSTZRANGE)
    self_id: Mapped[int | None] = mapped_column(sa.ForeignKey('Other "schema".child.id'))


class LongNames(Base):
    __tablename__ = "a_table_with_a_rather_long_name_of_fifty_characters"
    __table_args__ = (sa.UniqueConstraint("a_column_with_a_rather_long_name_of_fifty_characters"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    a_column_with_a_rather_long_name_of_fifty_characters: Mapped[int] = mapped_column(index=True)


class Odd(Base):
    __tablename__ = 'Odd "name" é; --'
    id: Mapped[int] = mapped_column("select", primary_key=True)
    other: Mapped[str] = mapped_column("Column With % sign", unique=True)


sa.Table(
    "cycle_a",
    Base.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("b", sa.ForeignKey("cycle_b.id", use_alter=True)),
)
sa.Table(
    "cycle_b", Base.metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.ForeignKey("cycle_a.id"))
)
sa.Table("unlogged", Base.metadata, sa.Column("id", sa.Integer), prefixes=["UNLOGGED"])
sa.Table("no_key", Base.metadata, sa.Column("a", sa.Text), sa.Column("b", sa.Text))
sa.Table("partitioned", Base.metadata, sa.Column("at", sa.Date), postgresql_partition_by="RANGE (at)")
sa.Table("hooked", Base.metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("note", sa.Text))
sa.event.listen(
    Base.metadata.tables["hooked"],
    "after_create",
    sa.DDL(
        "CREATE FUNCTION hooked() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER hooked BEFORE INSERT ON hooked FOR EACH ROW EXECUTE FUNCTION hooked()"
    ),
)
sa.event.listen(
    Base.metadata,
    "before_create",
    sa.DDL("CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS hstore"),
)

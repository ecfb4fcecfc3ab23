"""No false alarms, and no crash: hierarchies, composite keys, association objects, views, schemas, hostile names."""

from __future__ import annotations

import pytest

from tests.orm_models import check_models

ID = "id: Mapped[uuid.UUID] = mapped_column(primary_key=True)"

CLEAN = {
    "self-referential tree": f"""
        class Node(Base):
            __tablename__ = "nodes"
            {ID}
            parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("nodes.id"), index=True)
            children: Mapped[list["Node"]] = relationship(back_populates="parent")
            parent: Mapped[Optional["Node"]] = relationship(back_populates="children", remote_side="Node.id")
        """,
    "composite foreign key, of which one column is unique": """
        class User(Base):
            __tablename__ = "users"
            __table_args__ = (UniqueConstraint("id", "domain_id"),)
            id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
            domain_id: Mapped[uuid.UUID]
        class LocalUser(Base):
            __tablename__ = "local_users"
            __table_args__ = (ForeignKeyConstraint(["user_id", "domain_id"], ["users.id", "users.domain_id"]),)
            id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
            user_id: Mapped[uuid.UUID] = mapped_column(unique=True)
            domain_id: Mapped[uuid.UUID]
        """,
    "self-referential with backref": f"""
        class Node(Base):
            __tablename__ = "nodes"
            {ID}
            parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("nodes.id"), index=True)
            children = relationship("Node", backref=backref("parent", remote_side="Node.id"))
        """,
    "self-referential many-to-many": f"""
        friends = Table(
            "friends", Base.metadata,
            Column("left_id", ForeignKey("people.id"), primary_key=True),
            Column("right_id", ForeignKey("people.id"), primary_key=True, index=True),
        )
        class Person(Base):
            __tablename__ = "people"
            {ID}
            following: Mapped[list["Person"]] = relationship(
                secondary=friends, primaryjoin=lambda: Person.id == friends.c.left_id,
                secondaryjoin=lambda: Person.id == friends.c.right_id, back_populates="followers")
            followers: Mapped[list["Person"]] = relationship(
                secondary=friends, primaryjoin=lambda: Person.id == friends.c.right_id,
                secondaryjoin=lambda: Person.id == friends.c.left_id, back_populates="following")
        """,
    "association object": f"""
        class Post(Base):
            __tablename__ = "posts"
            {ID}
            links: Mapped[list["Link"]] = relationship(back_populates="post", cascade="all, delete-orphan")
        class Tag(Base):
            __tablename__ = "tags"
            {ID}
            links: Mapped[list["Link"]] = relationship(
                back_populates="tag", cascade="all, delete-orphan", passive_deletes=True)
            posts: Mapped[list[Post]] = relationship(secondary="links", viewonly=True)
        class Link(Base):
            __tablename__ = "links"
            post_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("posts.id"), primary_key=True)
            tag_id: Mapped[uuid.UUID] = mapped_column(
                ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True)
            post: Mapped[Post] = relationship(back_populates="links")
            tag: Mapped[Tag] = relationship(back_populates="links")
        """,
    "composite key": """
        class Order(Base):
            __tablename__ = "orders"
            shop: Mapped[str] = mapped_column(primary_key=True)
            number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
            lines: Mapped[list["Line"]] = relationship(back_populates="order", cascade="all", passive_deletes=True)
        class Line(Base):
            __tablename__ = "lines"
            __table_args__ = (
                ForeignKeyConstraint(["shop", "number"], ["orders.shop", "orders.number"], ondelete="CASCADE"),)
            shop: Mapped[str] = mapped_column(primary_key=True)
            number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
            place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
            order: Mapped[Order] = relationship(back_populates="lines")
        """,
    "composite key with the tenant": f"""
        class Role(Base):
            __tablename__ = "roles"
            __table_args__ = (UniqueConstraint("tenant_id", "id"),)
            {ID}
            tenant_id: Mapped[uuid.UUID]
        class UserRole(Base):
            __tablename__ = "user_roles"
            __table_args__ = (
                ForeignKeyConstraint(["tenant_id", "role_id"], ["roles.tenant_id", "roles.id"]),
                Index(None, "role_id", "tenant_id"),
            )
            {ID}
            tenant_id: Mapped[uuid.UUID]
            role_id: Mapped[uuid.UUID | None]
            role: Mapped[Role | None] = relationship()
        """,
    "joined inheritance": f"""
        class Party(Base):
            __tablename__ = "parties"
            __mapper_args__ = {{"polymorphic_on": "kind", "polymorphic_identity": "party"}}
            {ID}
            kind: Mapped[str] = mapped_column(CheckConstraint("kind IN ('party', 'person', 'firm')"))
            notes: Mapped[list["Note"]] = relationship(back_populates="party")
        class Person(Party):
            __tablename__ = "people"
            __mapper_args__ = {{"polymorphic_identity": "person"}}
            id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parties.id", ondelete="CASCADE"), primary_key=True)
            firm_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("firms.id"), index=True)
            firm: Mapped[Optional["Firm"]] = relationship(back_populates="people", foreign_keys=firm_id)
        class Firm(Party):
            __tablename__ = "firms"
            __mapper_args__ = {{"polymorphic_identity": "firm", "inherit_condition": None}}
            id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parties.id", ondelete="CASCADE"), primary_key=True)
            people: Mapped[list[Person]] = relationship(back_populates="firm", foreign_keys="Person.firm_id")
        class Note(Base):
            __tablename__ = "notes"
            {ID}
            party_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("parties.id"), index=True)
            party: Mapped[Party | None] = relationship(back_populates="notes")
        """,
    "single-table inheritance": f"""
        class Party(Base):
            __tablename__ = "parties"
            __mapper_args__ = {{"polymorphic_on": "kind", "polymorphic_identity": "party"}}
            {ID}
            kind: Mapped[str] = mapped_column(CheckConstraint("kind IN ('party', 'person', 'firm')"))
        class Person(Party):
            __mapper_args__ = {{"polymorphic_identity": "person"}}
            first_name: Mapped[str] = mapped_column(nullable=True)
            likes_tea = Column(Boolean)
        class Firm(Party):
            __mapper_args__ = {{"polymorphic_identity": "firm"}}
            vat: Mapped[str] = mapped_column(nullable=True)
        """,
    "concrete inheritance": f"""
        from sqlalchemy.ext.declarative import AbstractConcreteBase
        class Base2(AbstractConcreteBase, Base):
            strict_attrs = True
        class One(Base2):
            __tablename__ = "ones"
            __mapper_args__ = {{"polymorphic_identity": "one", "concrete": True}}
            {ID}
        class Two(Base2):
            __tablename__ = "twos"
            __mapper_args__ = {{"polymorphic_identity": "two", "concrete": True}}
            {ID}
        """,
    "another schema, quoted names": """
        op.before = "CREATE SCHEMA \\"We'ird \\"\\"S\\""
        class Parent(Base):
            __tablename__ = 'Par"ent'
            __table_args__ = {"schema": 'We\\'ird "S'}
            id: Mapped[uuid.UUID] = mapped_column('I d', primary_key=True)
            kids: Mapped[list["Kid"]] = relationship(back_populates="parent")
        class Kid(Base):
            __tablename__ = 'select'
            __table_args__ = {"schema": 'We\\'ird "S'}
            id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
            parent_id: Mapped[uuid.UUID | None] = mapped_column(
                'Ünter', ForeignKey(Parent.id), index=True)
            state: Mapped[str] = mapped_column(Enum("it's", 'a"b', name='Odd "enum"', schema='We\\'ird "S'))
            parent: Mapped[Parent | None] = relationship(back_populates="kids")
        """,
    "a view to look at": f"""
        class Account(Base):
            __tablename__ = "accounts"
            {ID}
        class Balance(Base):
            __tablename__ = "balances"
            account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
            total: Mapped[int]
            account: Mapped[Account] = relationship()
        op.execute("DROP TABLE balances")
        op.execute("CREATE VIEW balances AS SELECT id AS account_id, 1 AS total FROM accounts GROUP BY id")
        """,
    "a materialised view with a key": """
        class Balance(Base):
            __tablename__ = "balances"
            account_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
            total: Mapped[int]
        op.execute("DROP TABLE balances")
        op.execute("CREATE MATERIALIZED VIEW balances AS SELECT gen_random_uuid() AS account_id, 1 AS total")
        op.execute("CREATE UNIQUE INDEX ON balances (account_id)")
        """,
    "a class of a select": f"""
        class Account(Base):
            __tablename__ = "accounts"
            {ID}
            name: Mapped[str]
        class Named(Base):
            __table__ = select(Account.id, Account.name).where(Account.name != "").subquery()
            __mapper_args__ = {{"primary_key": [__table__.c.id]}}
            account: Mapped[Account] = relationship(primaryjoin=lambda: foreign(Named.__table__.c.id) == Account.id)
        """,
    "a class of a join": """
        users = Table("people", Base.metadata, Column("id", Uuid, primary_key=True))
        emails = Table("emails", Base.metadata, Column("id", Uuid, primary_key=True),
            Column("person_id", ForeignKey("people.id"), nullable=False, index=True))
        class Person(Base):
            __table__ = users.join(emails)
            id = column_property(users.c.id, emails.c.person_id)
            email_id = emails.c.id
        """,
    "generic association": f"""
        class Post(Base):
            __tablename__ = "posts"
            {ID}
            comments: Mapped[list["Comment"]] = relationship(
                primaryjoin="and_(Post.id == foreign(Comment.object_id), Comment.kind == 'post')")
        class Comment(Base):
            __tablename__ = "comments"
            {ID}
            kind: Mapped[str]
            object_id: Mapped[uuid.UUID | None]
        """,
    "the newest one of many": f"""
        class Person(Base):
            __tablename__ = "people"
            {ID}
            main: Mapped[Optional["Email"]] = relationship(
                primaryjoin="and_(Person.id == Email.person_id, Email.is_main)", viewonly=True)
        class Email(Base):
            __tablename__ = "emails"
            {ID}
            person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("people.id"), index=True)
            is_main: Mapped[bool]
        """,
    "unique where it counts": f"""
        class Person(Base):
            __tablename__ = "people"
            {ID}
            contract: Mapped[Optional["Contract"]] = relationship(back_populates="person")
        class Contract(Base):
            __tablename__ = "contracts"
            __table_args__ = (
                Index("one_each", "person_id", unique=True, postgresql_where=text("person_id IS NOT NULL")),)
            {ID}
            person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("people.id"))
            person: Mapped[Person | None] = relationship(back_populates="contract")
        """,
    "two ways to one table": f"""
        class Address(Base):
            __tablename__ = "addresses"
            {ID}
        class Customer(Base):
            __tablename__ = "customers"
            {ID}
            billing_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("addresses.id"), index=True)
            shipping_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("addresses.id"), index=True)
            billing: Mapped[Address | None] = relationship(foreign_keys=billing_id)
            shipping: Mapped[Address | None] = relationship(foreign_keys=shipping_id)
        """,
    "system column as version": f"""
        class Document(Base):
            __tablename__ = "documents"
            {ID}
            xmin = mapped_column("xmin", Integer, system=True, server_default=FetchedValue())
            __mapper_args__ = {{"version_id_col": xmin, "version_id_generator": False}}
        """,
    "identity, serial, computed": """
        class A(Base):
            __tablename__ = "a"
            id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
            n: Mapped[int] = mapped_column(Integer, Identity(always=True))
            twice: Mapped[int] = mapped_column(Computed("n * 2", persisted=True))
        class B(Base):
            __tablename__ = "b"
            id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
        op.execute("ALTER TABLE b ALTER COLUMN id DROP DEFAULT")
        op.execute("ALTER TABLE b ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY")
        """,
    "filled by a trigger": f"""
        class Document(Base):
            __tablename__ = "documents"
            {ID}
            body: Mapped[str]
            words: Mapped[str | None] = mapped_column(server_default=FetchedValue(), server_onupdate=FetchedValue())
        op.execute("ALTER TABLE documents ADD COLUMN length integer NOT NULL, ALTER COLUMN words SET NOT NULL")
        op.execute('''CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.length := length(NEW.body); NEW.words := NEW.body; RETURN NEW; END $$''')
        op.execute("CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON documents FOR EACH ROW EXECUTE FUNCTION fill()")
        """,
    "a trigger that only compares": f"""
        class Document(Base):
            __tablename__ = "documents"
            {ID}
            body: Mapped[str]
        op.execute('''CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.body = OLD.body THEN RETURN NULL; END IF; -- NEW.body := 'x';
            RETURN NEW; END $$''')
        op.execute("CREATE TRIGGER guard BEFORE UPDATE ON documents FOR EACH ROW EXECUTE FUNCTION guard()")
        """,
    "enums of every kind": f"""
        class Colour(enum.Enum):
            RED = "r"
            BLUE = "b"
        class Size(enum.StrEnum):
            S = "S"
            L = "L"
        class Shirt(Base):
            __tablename__ = "shirts"
            {ID}
            colour: Mapped[Colour]
            size: Mapped[Size] = mapped_column(Enum(Size, name="size", values_callable=lambda e: [x.value for x in e]))
            all_colours: Mapped[list[Colour]] = mapped_column(ARRAY(Enum(Colour, name="colour")))
            kind: Mapped[str] = mapped_column(Enum("a", "it's", native_enum=False, create_constraint=True, name="k"))
            one: Mapped[str] = mapped_column(Enum("only", native_enum=False, create_constraint=True, name="o"))
        """,
    "a domain": f"""
        op.before = "CREATE DOMAIN email AS varchar(50) NOT NULL DEFAULT 'x'"
        class Person(Base):
            __tablename__ = "people"
            {ID}
            email: Mapped[str] = mapped_column(String(50))
        op.execute("ALTER TABLE people ALTER COLUMN email DROP NOT NULL, ALTER COLUMN email TYPE email")
        """,
    "no relationships, no classes": """
        a = Table("a", Base.metadata, Column("id", Uuid, primary_key=True))
        b = Table("b", Base.metadata, Column("a_id", ForeignKey("a.id", ondelete="CASCADE"), primary_key=True))
        """,
    "partitioned": """
        class Event(Base):
            __tablename__ = "events"
            __table_args__ = {"postgresql_partition_by": "RANGE (day)"}
            id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
            day: Mapped[dt.date] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(index=True)
        op.execute("CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')")
        """,
    "polymorphic by an expression": f"""
        class Party(Base):
            __tablename__ = "parties"
            {ID}
            kind: Mapped[str] = mapped_column()
            __mapper_args__ = {{"polymorphic_on": case((kind == "f", "firm"), else_="party"),
                "polymorphic_identity": "party"}}
        class Firm(Party):
            __mapper_args__ = {{"polymorphic_identity": "firm"}}
        """,
    "polymorphic by an enum": f"""
        class Kind(enum.Enum):
            party = 1
            firm = 2
        class Party(Base):
            __tablename__ = "parties"
            {ID}
            kind: Mapped[Kind]
            __mapper_args__ = {{"polymorphic_on": "kind", "polymorphic_identity": Kind.party}}
        class Firm(Party):
            __mapper_args__ = {{"polymorphic_identity": Kind.firm}}
        """,
    "write-only and dynamic collections": f"""
        class Account(Base):
            __tablename__ = "accounts"
            {ID}
            lines: WriteOnlyMapped["Line"] = relationship(cascade="all, delete-orphan", passive_deletes=True)
            more: DynamicMapped["Other"] = relationship(cascade="all, delete-orphan", passive_deletes=True)
        class Line(Base):
            __tablename__ = "lines"
            {ID}
            account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
        class Other(Base):
            __tablename__ = "others"
            {ID}
            account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
        """,
    "imperative mapping": """
        table = Table("things", Base.metadata, Column("id", Uuid, primary_key=True), Column("n", Integer))
        class Thing:
            pass
        Base.registry.map_imperatively(Thing, table)
        """,
    "dataclasses": """
        class Thing(MappedAsDataclass, Base):
            __tablename__ = "things"
            id: Mapped[uuid.UUID] = mapped_column(primary_key=True, init=False, server_default=text("gen_random_uuid()"))
            name: Mapped[Optional[str]] = mapped_column(default=None)
        """,
    "a circle with one way out": f"""
        class Team(Base):
            __tablename__ = "teams"
            {ID}
            lead_id: Mapped[uuid.UUID] = mapped_column(
                ForeignKey("members.id", use_alter=True, name="fk", deferrable=True), index=True)
        class Member(Base):
            __tablename__ = "members"
            {ID}
            team_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("teams.id"), index=True)
        """,
    "indexes that look alike": f"""
        class Thing(Base):
            __tablename__ = "things"
            __table_args__ = (
                UniqueConstraint("a", "b"),
                Index("i_desc", text("a DESC")),
                Index("i_ops", "a", postgresql_ops={{"a": "text_pattern_ops"}}),
                Index("i_part", "a", postgresql_where=text("b IS NULL")),
                Index("i_hash", "a", postgresql_using="hash"),
                Index("i_lower", text("lower(a)")),
                Index("i_include", "b", postgresql_include=["a"]),
                Index("i_b_unique", "b", "a", unique=True),
            )
            {ID}
            a: Mapped[str] = mapped_column(Text)
            b: Mapped[str | None] = mapped_column(Text)
        """,
    "a view whose trigger gives back the key": """
        class Person(Base):
            __tablename__ = "people"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]
        class Firm(Base):
            __tablename__ = "firms"
            id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
        op.execute("DROP TABLE people, firms")
        op.execute("CREATE TABLE parties (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)")
        op.execute("CREATE VIEW people AS SELECT id, name FROM parties")
        op.execute("CREATE VIEW firms AS SELECT gen_random_uuid() AS id, name FROM parties")
        op.execute('''CREATE FUNCTION one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO parties (name) VALUES (NEW.name) RETURNING name, id INTO NEW.name, NEW."id";
            RETURN NEW; END $$''')
        op.execute('''CREATE FUNCTION two() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$''')
        op.execute("CREATE TRIGGER t INSTEAD OF INSERT ON people FOR EACH ROW EXECUTE FUNCTION one()")
        op.execute("CREATE TRIGGER t INSTEAD OF INSERT ON firms FOR EACH ROW EXECUTE FUNCTION two()")
        """,
    "enum types in every place": f"""
        op.before = "CREATE SCHEMA types"
        class Wrapped(TypeDecorator):
            impl = Enum
            cache_ok = True
            def __init__(self):
                super().__init__("a", name="wrapped")
        class Thing(Base):
            __tablename__ = "things"
            {ID}
            elsewhere: Mapped[str] = mapped_column(Enum("a", name="kind", schema="types"))
            wrapped: Mapped[str] = mapped_column(Wrapped())
            variant: Mapped[str] = mapped_column(String(5).with_variant(Enum("a", name="variant"), "postgresql"))
            several: Mapped[list[str]] = mapped_column(ARRAY(Enum("a", name="several", schema="types")))
            domain: Mapped[str] = mapped_column(Enum("a", name="base"))
        op.execute("CREATE DOMAIN sub AS base")
        op.execute("ALTER TABLE things ALTER domain TYPE sub")
        """,
    "a decorated type with another type on PostgreSQL": f"""
        class Moment(TypeDecorator):
            impl = DateTime
            cache_ok = True
        class Thing(Base):
            __tablename__ = "things"
            {ID}
            at: Mapped[dt.datetime] = mapped_column(Moment().with_variant(DateTime(timezone=True), "postgresql"))
        """,
}


@pytest.mark.parametrize("name", CLEAN)
def test_no_false_alarm(name, tmp_path, database):
    assert check_models(tmp_path, database, CLEAN[name], tenant_column="tenant_id") == []

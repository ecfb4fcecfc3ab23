"""Everything is in a schema of its own, with Alembic's table too; and a name that has to be quoted."""

from sqlalchemy import BigInteger, ForeignKey, Identity, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    metadata = MetaData(schema="Billing")


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    email: Mapped[str] = mapped_column("E-mail", Text, unique=True)
    orders: Mapped[list["Order"]] = relationship(
        back_populates="customer", cascade="all, delete-orphan", passive_deletes=True
    )


class Order(Base):
    __tablename__ = "order"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    customer_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("Billing.customers.id", ondelete="CASCADE"), index=True
    )
    customer: Mapped[Customer] = relationship(back_populates="orders")

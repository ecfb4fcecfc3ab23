from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from truing import TransitionalUUID


class Base(DeclarativeBase):
    type_annotation_map = {str: Text}


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    name: Mapped[str]


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    customer_id: Mapped[UUID | None] = mapped_column(
        TransitionalUUID, ForeignKey("customers.id", name="fk_orders_customer", ondelete="SET NULL"), index=True
    )
    item: Mapped[str]

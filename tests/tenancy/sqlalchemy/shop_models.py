"""A wider schema for the physical oracle: every way of mapping that a host may use, in one tenant and in two.

The rows of `t1` are the same in both databases, the mixed one has those of `t2` between them, and children of `t2`
below parents of `t1`.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Column, Date, Engine, ForeignKey, Integer, String, Table, func, select
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    DynamicMapped,
    Mapped,
    WriteOnlyMapped,
    column_property,
    declared_attr,
    mapped_column,
    query_expression,
    relationship,
)


class Base(DeclarativeBase):
    pass


class Owned:
    id: Mapped[int] = mapped_column(primary_key=True)

    @declared_attr
    def tenant_id(cls) -> Mapped[str]:
        return mapped_column(String(64), index=True)


class Country(Base):
    __tablename__ = "country"

    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    name: Mapped[str]


class Customer(Owned, Base):
    __tablename__ = "customer"

    name: Mapped[str]
    country_code: Mapped[str | None] = mapped_column(ForeignKey("country.code"))
    referrer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    country: Mapped[Country | None] = relationship()
    referrer: Mapped[Customer | None] = relationship(remote_side="Customer.id", back_populates="referred")
    referred: Mapped[list[Customer]] = relationship(back_populates="referrer")
    orders: Mapped[list[Order]] = relationship(back_populates="customer", cascade="all, delete-orphan")
    all_orders: WriteOnlyMapped[Order] = relationship(viewonly=True)
    some_orders: DynamicMapped[Order] = relationship(viewonly=True)
    note: Mapped[str | None] = query_expression()

    @hybrid_property
    def shout(self) -> str:
        return self.name.upper()

    @shout.inplace.expression
    @classmethod
    def _shout(cls) -> Any:
        return func.upper(cls.name)


class Order(Owned, Base):
    __tablename__ = "orders"

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    placed: Mapped[date] = mapped_column(Date)
    total: Mapped[int]
    version: Mapped[int] = mapped_column(Integer)
    customer: Mapped[Customer] = relationship(back_populates="orders")
    lines: Mapped[list[Line]] = relationship(back_populates="order", cascade="all, delete-orphan")
    products: AssociationProxy[list[Product]] = association_proxy("lines", "product")
    __mapper_args__ = {"version_id_col": version}


class Line(Base):
    """An association object without a tenant of its own."""

    __tablename__ = "line"

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True)
    amount: Mapped[int]
    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product] = relationship()


class Product(Owned, Base):
    """The base of a joined inheritance."""

    __tablename__ = "product"

    kind: Mapped[str]
    title: Mapped[str]
    price: Mapped[int]
    labels: Mapped[list[Label]] = relationship(secondary="product_label", back_populates="products")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "product"}


class Book(Product):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True)
    isbn: Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "book"}


class Service(Product):
    """Single-table inheritance below the joined one."""

    __mapper_args__ = {"polymorphic_identity": "service"}


class Label(Owned, Base):
    __tablename__ = "label"

    text: Mapped[str]
    products: Mapped[list[Product]] = relationship(secondary="product_label", back_populates="labels")


product_label = Table(
    "product_label",
    Base.metadata,
    Column("product_id", ForeignKey("product.id"), primary_key=True),
    Column("label_id", ForeignKey("label.id"), primary_key=True),
)

Customer.spent = column_property(  # type: ignore[attr-defined]  # added after both classes exist
    select(func.coalesce(func.sum(Order.total), 0))
    .where(Order.customer_id == Customer.id)
    .correlate_except(Order)
    .scalar_subquery()
)

SHARED = [Country]
LINKS = [Line, product_label]

COUNTRIES = [{"code": "at", "name": "Austria"}, {"code": "de", "name": "Germany"}]


def _rows(tenant: str, first: int) -> dict[str, list[dict[str, Any]]]:
    a, b, c = first, first + 10, first + 20
    return {
        "customer": [
            {"id": a, "name": f"ada {tenant}", "country_code": "at", "referrer_id": None},
            {"id": b, "name": f"bob {tenant}", "country_code": None, "referrer_id": a},
            {"id": c, "name": f"cy {tenant}", "country_code": "de", "referrer_id": b},
        ],
        "orders": [
            {"id": a, "customer_id": a, "placed": date(2026, 1, 1), "total": 10, "version": 1},
            {"id": b, "customer_id": a, "placed": date(2026, 1, 2), "total": 20, "version": 1},
            {"id": c, "customer_id": b, "placed": date(2026, 1, 2), "total": 30, "version": 1},
        ],
        "product": [
            {"id": a, "kind": "book", "title": f"sql {tenant}", "price": 5},
            {"id": b, "kind": "service", "title": f"help {tenant}", "price": 7},
            {"id": c, "kind": "product", "title": f"cup {tenant}", "price": 9},
        ],
        "book": [{"id": a, "isbn": f"isbn {tenant}"}],
        "label": [{"id": a, "text": f"new {tenant}"}, {"id": b, "text": f"old {tenant}"}],
        "line": [
            {"order_id": a, "product_id": a, "amount": 1},
            {"order_id": b, "product_id": b, "amount": 2},
            {"order_id": c, "product_id": c, "amount": 3},
        ],
        "product_label": [
            {"product_id": a, "label_id": a},
            {"product_id": a, "label_id": b},
            {"product_id": c, "label_id": b},
        ],
    }


OWN = _rows("t1", 1)
OTHER = _rows("t2", 2)
# Corrupt on purpose: the other tenant's rows below parents of this one.
OTHER["orders"].append({"id": 52, "customer_id": 1, "placed": date(2026, 1, 3), "total": 99, "version": 1})
OTHER["customer"].append({"id": 52, "name": "eve t2", "country_code": "at", "referrer_id": 1})
OTHER["line"].append({"order_id": 2, "product_id": 1, "amount": 9})
OTHER["product_label"].append({"product_id": 1, "label_id": 2})
ORDER = ("country", "customer", "orders", "product", "book", "label", "line", "product_label")


def fill(engine: Engine, *, mixed: bool) -> None:
    """Makes the schema anew with the rows of one tenant, or of both."""
    tables = Base.metadata.tables
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    parts = [("t1", OWN), *([("t2", OTHER)] if mixed else [])]
    with engine.begin() as connection:
        connection.execute(tables["country"].insert(), COUNTRIES)
        for name in ORDER[1:]:
            for tenant, rows in parts:
                extra = {"tenant_id": tenant} if "tenant_id" in tables[name].c else {}
                connection.execute(tables[name].insert(), [{**row, **extra} for row in rows[name]])
        if engine.dialect.name == "postgresql":
            for name in ("customer", "orders", "product", "label"):
                connection.exec_driver_sql(f"select setval(pg_get_serial_sequence('{name}', 'id'), 1000)")


def dump(engine: Engine, tenant: str | None) -> dict[str, list[tuple[Any, ...]]]:
    """All rows below the guard, or one tenant's; links by the tenant of their first parent."""
    found = {}
    with engine.connect() as connection:
        for name in ORDER[1:]:
            table = Base.metadata.tables[name]
            query = select(table)
            if tenant is not None and "tenant_id" in table.c:
                query = query.where(table.c.tenant_id == tenant)
            elif tenant is not None:
                owner = {"book": "product", "line": "orders", "product_label": "product"}[name]
                key = next(c for c in table.c if any(fk.column.table.name == owner for fk in c.foreign_keys))
                parent = Base.metadata.tables[owner]
                query = query.join(parent, key == parent.c.id).where(parent.c.tenant_id == tenant)
                if name == "product_label":
                    label = Base.metadata.tables["label"]
                    query = query.join(label, label.c.id == table.c.label_id).where(label.c.tenant_id == tenant)
                if name == "line":
                    product = Base.metadata.tables["product"]
                    query = query.join(product, product.c.id == table.c.product_id)
                    query = query.where(product.c.tenant_id == tenant)
            found[name] = sorted(tuple(row) for row in connection.execute(query))
    return found

"""The physical oracle: guarded on a database of two tenants, unguarded on a database of one; the answers are equal.

It proves both directions at once. A guard that lets too much through gives more, one that refuses or filters legal
work gives less.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
import shop_models as shop
from shop_models import Book, Country, Customer, Label, Line, Order, Product, Service, product_label
from sqlalchemy import (
    Engine,
    and_,
    bindparam,
    case,
    create_engine,
    delete,
    distinct,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    text,
    true,
    tuple_,
    union,
    union_all,
    update,
    values,
)
from sqlalchemy import Integer as Int
from sqlalchemy import column as col
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import (
    Session,
    aliased,
    contains_eager,
    defer,
    immediateload,
    joinedload,
    lazyload,
    load_only,
    make_transient,
    raiseload,
    selectin_polymorphic,
    selectinload,
    sessionmaker,
    subqueryload,
    undefer,
    with_expression,
    with_polymorphic,
)

from wellstreak_trust.tenancy import tenant_scope, testing_context
from wellstreak_trust.tenancy.sqlalchemy import TenantGuard

Work = Callable[[Session], Any]


def plain(result: Any) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in result), key=repr)


def customers(found: Any) -> list[Any]:
    return sorted((c.id, c.name, c.spent, sorted(o.id for o in c.orders)) for c in found)


def names(found: Any) -> list[str]:
    return sorted(x.name for x in found)


def upsert(session: Session, table: Any) -> Any:
    postgres = session.get_bind().dialect.name == "postgresql"
    return (postgresql if postgres else sqlite).insert(table)


A, B = aliased(Customer), aliased(Order)
T = Customer.__table__
O = Order.__table__  # noqa: E741 - the table of orders

READS: dict[str, Work] = {
    "entities": lambda s: customers(s.scalars(select(Customer))),
    "get": lambda s: [getattr(s.get(Customer, n), "name", None) for n in (1, 2, 11, 999)],
    "get composite": lambda s: [getattr(s.get(Line, k), "amount", None) for k in ((1, 1), (2, 2), (2, 1), (11, 11))],
    "get twice": lambda s: s.get(Customer, 1) is s.get(Customer, 1),
    "query": lambda s: names(s.query(Customer).filter(Customer.name.like("%b%"))),
    "query count": lambda s: s.query(Customer).count(),
    "query get": lambda s: s.query(Customer).filter_by(id=1).one().name,
    "columns": lambda s: plain(s.execute(select(Customer.id, Customer.shout))),
    "shared alone": lambda s: plain(s.execute(select(Country.code))),
    "shared core": lambda s: plain(s.execute(select(Country.__table__))),
    "shared joined": lambda s: plain(s.execute(select(Country.name, Customer.name).join(Customer))),
    "shared outer": lambda s: plain(s.execute(select(Country.code, Customer.name).outerjoin(Customer))),
    "inner join": lambda s: plain(s.execute(select(Customer.name, Order.total).join(Customer.orders))),
    "outer join": lambda s: plain(s.execute(select(Customer.name, Order.total).outerjoin(Customer.orders))),
    "anti join": lambda s: plain(s.execute(select(Customer.name).outerjoin(Customer.orders).where(Order.id.is_(None)))),
    "outer to alias": lambda s: plain(
        s.execute(select(Customer.id, A.name).outerjoin(A, Customer.referrer_id == A.id))
    ),
    "self any": lambda s: plain(s.execute(select(Customer.id).where(Customer.referred.any()))),
    "self has": lambda s: plain(s.execute(select(Customer.id).where(Customer.referrer.has(Customer.id > 0)))),
    "not any": lambda s: plain(s.execute(select(Customer.id).where(~Customer.orders.any()))),
    "nested any": lambda s: plain(
        s.execute(select(Customer.id).where(Customer.orders.any(Order.lines.any(Line.product.has(price=5)))))
    ),
    "of_type": lambda s: plain(s.execute(select(Line.amount).join(Line.product.of_type(Book)).where(Book.isbn != ""))),
    "any label": lambda s: plain(s.execute(select(Product.id).where(Product.labels.any(Label.text.like("old%"))))),
    "exists": lambda s: s.scalar(select(exists().where(Customer.id == 2))),
    "exists select": lambda s: plain(
        s.execute(select(Customer.id, select(Order.id).where(Order.customer_id == Customer.id).exists()))
    ),
    "count": lambda s: s.scalar(select(func.count()).select_from(Customer)),
    "count distinct": lambda s: s.scalar(select(func.count(distinct(Order.customer_id)))),
    "aggregate": lambda s: plain(
        s.execute(
            select(Customer.name, func.sum(Order.total))
            .join(Order)
            .group_by(Customer.name)
            .having(func.sum(Order.total) > 5)
        )
    ),
    "group by key": lambda s: plain(
        s.execute(select(Customer.id, Customer.name, func.count(Order.id)).outerjoin(Order).group_by(Customer.id))
    ),
    "aggregate filter": lambda s: plain(s.execute(select(func.count(Order.id).filter(Order.total > 10)))),
    "window": lambda s: plain(s.execute(select(func.sum(Order.total).over(order_by=Order.id)))),
    "window partition": lambda s: plain(
        s.execute(select(Order.id, func.rank().over(partition_by=Order.customer_id, order_by=Order.total)))
    ),
    "subquery": lambda s: plain(s.execute(select(select(Customer.name).subquery()))),
    "subquery alias": lambda s: plain(
        s.execute(select(aliased(Customer, select(Customer).where(Customer.id < 20).subquery()).name))
    ),
    "in subquery": lambda s: plain(s.execute(select(Customer.id).where(Customer.id.in_(select(Order.customer_id))))),
    "not in": lambda s: plain(s.execute(select(Customer.id).where(Customer.id.not_in(select(Order.customer_id))))),
    "scalar subquery": lambda s: plain(s.execute(select(select(func.max(Order.total)).scalar_subquery()))),
    "correlated": lambda s: plain(
        s.execute(
            select(
                Customer.id,
                select(func.max(Order.total))
                .where(Order.customer_id == Customer.id)
                .correlate(Customer)
                .scalar_subquery(),
            )
        )
    ),
    "cte": lambda s: (lambda c: plain(s.execute(select(c.c.id, Order.total).join(Order, Order.customer_id == c.c.id))))(
        select(Customer.id).where(Customer.id < 100).cte("few")
    ),
    "union": lambda s: plain(s.execute(union(select(Customer.id), select(Order.id)))),
    "union all of core": lambda s: plain(s.execute(union_all(select(T.c.name), select(literal("x"))))),
    "union entity": lambda s: names(
        s.scalars(select(Customer).from_statement(union(select(Customer), select(Customer).where(Customer.id == 1))))
    ),
    "except": lambda s: plain(s.execute(select(Customer.id).except_(select(Order.customer_id)))),
    "order limit": lambda s: [
        c.id for c in s.scalars(select(Customer).order_by(Customer.id.desc()).limit(2).offset(1))
    ],
    "distinct": lambda s: plain(s.execute(select(Order.placed).distinct())),
    "case": lambda s: plain(s.execute(select(case((Order.total > 15, "big"), else_="small"), Order.id))),
    "or": lambda s: plain(s.execute(select(Customer.id).where(or_(Customer.id == 1, Customer.id == 2, true())))),
    "text where": lambda s: plain(s.execute(select(Customer.id).where(text("customer.id > :n")).params(n=5))),
    "text order": lambda s: [c.id for c in s.scalars(select(Customer).order_by(text("customer.name desc")))],
    "literal column": lambda s: plain(s.execute(select(literal_column("1"), Customer.id))),
    "literal only": lambda s: plain(s.execute(select(literal(1), null()))),
    "extract": lambda s: plain(s.execute(select(func.count()).where(func.coalesce(Order.total, 0) > 0))),
    "tuple in": lambda s: plain(
        s.execute(select(Line.amount).where(tuple_(Line.order_id, Line.product_id).in_([(1, 1), (2, 2)])))
    ),
    "bindparam": lambda s: plain(s.execute(select(Customer.id).where(Customer.id == bindparam("n")), {"n": 1})),
    "core select": lambda s: plain(s.execute(select(T))),
    "core join": lambda s: plain(
        s.execute(select(T.c.name, O.c.total).select_from(T.join(O, T.c.id == O.c.customer_id)))
    ),
    "core outer": lambda s: plain(s.execute(select(T.c.name, O.c.total).select_from(T.outerjoin(O)))),
    "core nested join": lambda s: plain(
        s.execute(
            select(T.c.name, Line.amount).select_from(
                T.outerjoin(O.join(Line.__table__, O.c.id == Line.order_id), T.c.id == O.c.customer_id)
            )
        )
    ),
    "core full": lambda s: plain(
        s.execute(select(T.c.name, O.c.total).select_from(T.join(O, T.c.id == O.c.customer_id, full=True)))
    ),
    "full alias": lambda s: plain(s.execute(select(A.name, B.total).join(B, A.id == B.customer_id, full=True))),
    "link": lambda s: plain(s.execute(select(product_label))),
    "link joined": lambda s: plain(
        s.execute(select(product_label.c.label_id).join(Product, Product.id == product_label.c.product_id))
    ),
    "link outer": lambda s: plain(
        s.execute(
            select(Product.id, product_label.c.label_id).outerjoin(
                product_label, Product.id == product_label.c.product_id
            )
        )
    ),
    "association": lambda s: sorted((x.order_id, x.product.title, x.amount) for x in s.scalars(select(Line))),
    "association proxy": lambda s: sorted(p.title for o in s.scalars(select(Order)) for p in o.products),
    "lazy": lambda s: customers(s.scalars(select(Customer).options(lazyload("*")))),
    "joined": lambda s: customers(s.scalars(select(Customer).options(joinedload(Customer.orders))).unique()),
    "joined chain": lambda s: sorted(
        (c.id, o.id, x.product.title)
        for c in s.scalars(
            select(Customer).options(joinedload(Customer.orders).selectinload(Order.lines).joinedload(Line.product))
        ).unique()
        for o in c.orders
        for x in o.lines
    ),
    "joined limit": lambda s: customers(
        s.scalars(select(Customer).options(joinedload(Customer.orders)).order_by(Customer.id).limit(2)).unique()
    ),
    "selectin": lambda s: customers(s.scalars(select(Customer).options(selectinload(Customer.orders)))),
    "subqueryload": lambda s: customers(s.scalars(select(Customer).options(subqueryload(Customer.orders)))),
    "immediate": lambda s: customers(s.scalars(select(Customer).options(immediateload(Customer.orders)))),
    "raiseload": lambda s: names(s.scalars(select(Customer).options(raiseload("*")))),
    "contains_eager": lambda s: customers(
        s.scalars(select(Customer).join(Customer.orders).options(contains_eager(Customer.orders))).unique()
    ),
    "self eager": lambda s: sorted(
        (c.id, getattr(c.referrer, "name", None), len(c.referred))
        for c in s.scalars(
            select(Customer).options(joinedload(Customer.referrer), selectinload(Customer.referred))
        ).unique()
    ),
    "m2m joined": lambda s: sorted(
        (p.id, sorted(x.text for x in p.labels))
        for p in s.scalars(select(Product).options(joinedload(Product.labels))).unique()
    ),
    "m2m selectin": lambda s: sorted(
        (x.text, sorted(p.title for p in x.products))
        for x in s.scalars(select(Label).options(selectinload(Label.products)))
    ),
    "m2m lazy": lambda s: sorted((p.id, sorted(x.text for x in p.labels)) for p in s.scalars(select(Product))),
    "m2m join": lambda s: plain(s.execute(select(Product.id, Label.text).join(Product.labels))),
    "defer": lambda s: names(s.scalars(select(Customer).options(defer(Customer.name)))),
    "undefer": lambda s: names(s.scalars(select(Customer).options(load_only(Customer.id), undefer(Customer.name)))),
    "with_expression": lambda s: sorted(
        c.note for c in s.scalars(select(Customer).options(with_expression(Customer.note, func.upper(Customer.name))))
    ),
    "write only": lambda s: plain(s.execute(s.get_one(Customer, 1).all_orders.select().with_only_columns(Order.id))),
    "dynamic": lambda s: sorted(o.id for o in s.get_one(Customer, 1).some_orders.filter(Order.total > 5)),
    "polymorphic": lambda s: sorted((type(p).__name__, p.title) for p in s.scalars(select(Product))),
    "polymorphic child": lambda s: sorted((b.isbn, b.title) for b in s.scalars(select(Book))),
    "polymorphic single": lambda s: sorted(x.title for x in s.scalars(select(Service))),
    "polymorphic deferred": lambda s: sorted(p.isbn for p in s.scalars(select(Product)) if isinstance(p, Book)),
    "with_polymorphic": lambda s: (lambda w: plain(s.execute(select(w.title, w.Book.isbn))))(
        with_polymorphic(Product, [Book])
    ),
    "selectin_polymorphic": lambda s: sorted(
        p.isbn for p in s.scalars(select(Product).options(selectin_polymorphic(Product, [Book]))) if isinstance(p, Book)
    ),
    "child table": lambda s: plain(s.execute(select(Book.__table__))),
    "yield_per": lambda s: names(s.scalars(select(Customer).execution_options(yield_per=1))),
    "partitions": lambda s: [len(part) for part in s.execute(select(Customer.id)).partitions(2)],
    "refresh": lambda s: (lambda c: (s.refresh(c), c.name))(s.get_one(Customer, 1))[1],
    "expire": lambda s: (lambda c: (s.expire(c), c.name))(s.get_one(Customer, 1))[1],
    "after commit": lambda s: (lambda c: (s.commit(), c.name))(s.get_one(Customer, 1))[1],
    "populate existing": lambda s: names(s.scalars(select(Customer).execution_options(populate_existing=True))),
    "for update": lambda s: names(s.scalars(select(Customer).with_for_update())),
    "for update of": lambda s: plain(s.execute(select(Order.id).join(Customer).with_for_update(of=Order))),
    "merge load": lambda s: s.merge(Customer(id=1, name="x")).name,
    "pickled": lambda s: (lambda c: (s.expunge(c), s.add(pickle.loads(pickle.dumps(c))), s.get_one(Customer, 1).name))(
        s.get_one(Customer, 1)
    )[2],
    "connection": lambda s: plain(s.connection().execute(select(T.c.id))),
    "stream": lambda s: plain(s.connection().execution_options(stream_results=True).execute(select(T.c.id))),
    "and only": lambda s: s.scalar(select(and_(func.count(Customer.id) > 0, func.max(Customer.id) < 50))),
    "exists window": lambda s: s.scalar(
        select(func.count()).where(exists(select(func.row_number().over()).where(Customer.id == 2)))
    ),
    "lateral": lambda s: (
        plain(
            s.execute(
                select(Customer.id, col("total")).join(
                    select(Order.total).where(Order.customer_id == Customer.id).lateral("x"), true()
                )
            )
        )
        if s.get_bind().dialect.name == "postgresql"
        else []
    ),
}


def from_values(s: Session) -> Any:
    if s.get_bind().dialect.name != "postgresql":
        return None
    few = values(col("n", Int), name="few").data([(1,), (2,), (11,)])
    return plain(s.execute(select(few.c.n, Customer.name).join(Customer, Customer.id == few.c.n)))


def recursive(s: Session) -> Any:
    tree = select(Customer.id, Customer.referrer_id).where(Customer.referrer_id.is_(None)).cte("tree", recursive=True)
    child = aliased(Customer)
    tree = tree.union_all(select(child.id, child.referrer_id).join(tree, child.referrer_id == tree.c.id))
    return plain(s.execute(select(tree)))


def savepoints(s: Session) -> Any:
    try:
        with s.begin_nested():
            s.add(Customer(name="inner"))
            s.flush()
            raise KeyError
    except KeyError:
        pass
    with s.begin_nested():
        s.add(Customer(name="kept"))
    return names(s.scalars(select(Customer)))


def graph(s: Session) -> Any:
    country, referrer, product = s.get_one(Country, "at"), s.get_one(Customer, 1), s.get_one(Product, 1)
    customer = Customer(name="new", country=country, referrer=referrer)
    order = Order(customer=customer, placed=date(2026, 2, 1), total=5)
    order.lines.append(Line(product=product, amount=2))
    order.lines.append(Line(product=Book(title="b", price=1, isbn="i", labels=[Label(text="fresh")]), amount=1))
    s.add(customer)
    s.flush()
    return customer.tenant_id, len(order.products)


def moved_children(s: Session) -> Any:
    one, two = s.get_one(Customer, 1), s.get_one(Customer, 11)
    two.orders.append(one.orders[0])
    s.flush()
    return len(one.orders), len(two.orders)


def recreated(s: Session) -> Any:
    customer = s.get_one(Customer, 21)
    s.expunge(customer)
    make_transient(customer)
    customer.id = None
    s.add(customer)
    s.flush()
    return customer.name


def scalars_returning(s: Session) -> Any:
    rows = [{"name": f"n{n}"} for n in range(3)]
    return names(s.scalars(insert(Customer).returning(Customer), rows))


def many(s: Session) -> Any:
    s.add_all([Customer(name=f"n{n}", orders=[Order(placed=date(2026, 1, 5), total=n)]) for n in range(25)])
    s.flush()
    return s.scalar(select(func.count()).select_from(Order))


def deleted(s: Session) -> Any:
    s.delete(s.get_one(Customer, 21))
    order = s.get_one(Order, 21)
    s.delete(order)
    s.flush()
    return s.scalar(select(func.count()).select_from(Line))


def unlinked(s: Session) -> Any:
    product = s.get_one(Product, 1)
    product.labels = [x for x in product.labels if x.text.startswith("new")]
    s.flush()
    return [x.text for x in product.labels]


WRITES: dict[str, Work] = {
    "values": from_values,
    "recursive": recursive,
    "savepoints": savepoints,
    "graph": graph,
    "moved children": moved_children,
    "recreated": recreated,
    "scalars returning": scalars_returning,
    "many": many,
    "deleted": deleted,
    "unlinked": unlinked,
    "dirty": lambda s: setattr(s.get_one(Customer, 1), "name", "changed"),
    "versioned": lambda s: (setattr(s.get_one(Order, 1), "total", 3), s.flush(), s.get_one(Order, 1).version)[2],
    "merge new": lambda s: s.merge(Customer(name="merged")).name,
    "merge change": lambda s: (s.merge(Customer(id=1, name="merged")), s.flush())[1],
    "bulk save": lambda s: s.bulk_save_objects([Customer(name="a"), Customer(name="b")]),
    "bulk insert mappings": lambda s: s.bulk_insert_mappings(
        Customer, [{"name": "a"}, {"name": "b", "referrer_id": 1}]
    ),
    "bulk update mappings": lambda s: s.bulk_update_mappings(
        Customer, [{"id": 1, "name": "x"}, {"id": 11, "name": "y"}]
    ),
    "insert": lambda s: s.execute(insert(Customer).values(name="i")).rowcount,
    "insert returning": lambda s: plain(s.execute(insert(Customer).values(name="i").returning(Customer.name))),
    "insert many": lambda s: s.execute(insert(Customer), [{"name": "a"}, {"name": "b"}]) and None,
    "insert multi values": lambda s: s.execute(insert(T).values([{"name": "a"}, {"name": "b"}])).rowcount,
    "insert own tenant": lambda s: s.execute(insert(T).values(name="a", tenant_id="t1")).rowcount,
    "insert core many": lambda s: s.connection().execute(insert(T), [{"name": "a"}, {"name": "b"}]).rowcount,
    "insert shared": lambda s: s.execute(insert(Country).values(code="ch", name="Switzerland")).rowcount,
    "insert subquery fk": lambda s: (
        s.execute(
            insert(O).values(
                customer_id=select(T.c.id).where(T.c.id == 1).scalar_subquery(),
                placed=date(2026, 1, 1),
                total=1,
                version=1,
            )
        ).rowcount
    ),
    "insert from select": lambda s: s.execute(insert(T).from_select(["name"], select(Label.text))).rowcount,
    "insert from select fk": lambda s: (
        s.execute(
            insert(O).from_select(
                ["customer_id", "placed", "total", "version"],
                select(T.c.id, literal(date(2026, 1, 1)), literal(1), literal(1)),
            )
        ).rowcount
    ),
    "insert from select copy": lambda s: (
        s.execute(
            insert(O).from_select(
                ["customer_id", "placed", "total", "version"],
                select(O.c.customer_id, O.c.placed, O.c.total + 1, O.c.version),
            )
        ).rowcount
    ),
    "insert from select null": lambda s: (
        s.execute(insert(T).from_select(["name", "referrer_id"], select(T.c.name, T.c.referrer_id))).rowcount
    ),
    "insert from select own": lambda s: (
        s.execute(insert(T).from_select(["tenant_id", "name"], select(Label.tenant_id, Label.text))).rowcount
    ),
    "insert link": lambda s: s.execute(insert(product_label).values(product_id=11, label_id=1)).rowcount,
    "insert null fk": lambda s: s.execute(insert(T).values(name="n", referrer_id=None)).rowcount,
    "update": lambda s: s.execute(update(Customer).where(Customer.id.in_([1, 2])).values(name="u")).rowcount,
    "update all": lambda s: s.execute(update(Customer).values(name=Customer.name + "!")).rowcount,
    "update by key": lambda s: s.execute(update(Customer), [{"id": 1, "name": "x"}, {"id": 11, "name": "y"}]) and None,
    "update core": lambda s: s.execute(update(T).where(T.c.id > 1).values(name="u")).rowcount,
    "update core many": lambda s: (
        s.connection()
        .execute(
            update(T).where(T.c.id == bindparam("k")).values(name=bindparam("v")),
            [{"k": 1, "v": "a"}, {"k": 2, "v": "b"}],
        )
        .rowcount
    ),
    "update from": lambda s: (
        s.execute(update(O).where(O.c.customer_id == T.c.id, T.c.name.like("a%")).values(total=0)).rowcount
    ),
    "update subquery": lambda s: (
        s.execute(update(T).values(name=select(func.max(Label.text)).scalar_subquery())).rowcount
    ),
    "update returning": lambda s: plain(s.execute(update(Customer).values(name="r").returning(Customer.id))),
    "update fetch": lambda s: (
        s.execute(update(Customer).values(name="f"), execution_options={"synchronize_session": "fetch"}).rowcount
    ),
    "update fk": lambda s: s.execute(update(Customer).where(Customer.id == 1).values(referrer_id=11)).rowcount,
    "update fk to null": lambda s: s.execute(update(Customer).values(referrer_id=None)).rowcount,
    "update fk to column": lambda s: s.execute(update(Customer).values(referrer_id=Customer.id)).rowcount,
    "delete": lambda s: s.execute(delete(Line).where(Line.amount >= 1)).rowcount,
    "delete by alias": lambda s: (
        s.execute(delete(Line).where(Line.order_id.in_(select(Order.id).where(Order.total < 15)))).rowcount
    ),
    "delete core link": lambda s: s.execute(delete(product_label)).rowcount,
    "delete shared": lambda s: s.execute(delete(Country).where(Country.code == "xx")).rowcount,
    "query delete": lambda s: s.query(Line).filter(Line.amount == 1).delete(),
    "query update": lambda s: s.query(Customer).update({"name": "q"}),
    "upsert insert": lambda s: (
        s.execute(
            upsert(s, T).values(name="u").on_conflict_do_update(index_elements=["id"], set_={"name": "v"})
        ).rowcount
    ),
    "upsert update": lambda s: (
        s.execute(
            upsert(s, T)
            .values(id=1, name="u")
            .on_conflict_do_update(index_elements=["id"], set_={"name": "v", "tenant_id": literal("t1")})
        ).rowcount
    ),
    "upsert excluded": lambda s: (
        lambda i: (
            s.execute(i.on_conflict_do_update(index_elements=["id"], set_=dict(i.excluded), where=T.c.id > 0)).rowcount
        )
    )(upsert(s, T).values([{"id": 1, "name": "u", "referrer_id": 11}])),
    "upsert nothing": lambda s: s.execute(upsert(s, T).values(id=1, name="u").on_conflict_do_nothing()).rowcount,
}
WORK = {**READS, **WRITES}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def engines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Engine]]:
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("physical")
        urls = {name: f"sqlite:///{folder}/{name}.db" for name in ("mixed", "single")}
    else:
        urls = request.getfixturevalue("physical_urls")
    found = {name: create_engine(url) for name, url in urls.items()}
    found["guarded"] = create_engine(urls["mixed"])
    yield found
    for engine in found.values():
        engine.dispose()


@pytest.fixture(scope="module")
def filled(engines: dict[str, Engine]) -> dict[str, sessionmaker[Session]]:
    """For work that is rolled back."""
    shop.fill(engines["mixed"], mixed=True)
    shop.fill(engines["single"], mixed=False)
    return _sessions(engines)


def _sessions(engines: dict[str, Engine]) -> dict[str, sessionmaker[Session]]:
    guarded, single = sessionmaker(engines["guarded"]), sessionmaker(engines["single"])
    TenantGuard(shop.Base, shared=shop.SHARED, links=shop.LINKS).install(guarded)
    return {"guarded": guarded, "single": single}


@pytest.mark.parametrize("name", WORK)
def test_one_tenant_cannot_tell_that_there_is_another(
    name: str, engines: dict[str, Engine], filled: dict[str, sessionmaker[Session]]
) -> None:
    answers = []
    for kind in ("guarded", "single"):
        with tenant_scope(testing_context("t1")), filled[kind]() as session:
            if kind == "single":
                _stamp_by_hand(session)
            before = shop.dump(engines["mixed"], "t2") if kind == "guarded" and name in WRITES else None
            answers.append((WORK[name](session), _changes(session, name)))
            session.rollback()
            if before is not None:
                assert shop.dump(engines["mixed"], "t2") == before
    assert answers[0] == answers[1]


def _changes(session: Session, name: str) -> Any:
    """The tables as the session sees them, in its own transaction."""
    if name not in WRITES:
        return None
    session.flush()
    session.expire_all()
    skipped = {"id", "order_id", "product_id", "label_id", "customer_id"}
    found = []
    for table in (T, O, Label.__table__, Product.__table__, Line.__table__, product_label):
        columns = [c for c in table.c if c.name not in skipped or table in (Line.__table__, product_label)]
        rows = session.execute(select(*columns)).all()
        found.append((table.name, len(rows)) if table in (Line.__table__, product_label) else (table.name, plain(rows)))
    return found


def _stamp_by_hand(session: Session) -> None:
    from sqlalchemy import event

    def stamp(connection: Any, element: Any, multi: Any, params: Any, options: Any) -> Any:
        table = getattr(element, "table", None)
        if not getattr(element, "is_insert", False) or table is None or "tenant_id" not in table.c:
            return element, multi, params
        if element.select is not None:
            if "tenant_id" not in element._select_names:
                names = [*element._select_names, "tenant_id"]
                element = insert(table).from_select(names, element.select.add_columns(literal("t1")))
            return element, multi, params
        if element._multi_values:
            element = element._generate()
            element._multi_values = tuple(
                [{**row, "tenant_id": "t1"} for row in group] for group in element._multi_values
            )
        elif not any("tenant_id" in row for row in [*multi, params]) and "tenant_id" not in (element._values or {}):
            element = element.values(tenant_id="t1")
        return element, multi, params

    connection = session.connection()
    event.listen(connection, "before_execute", stamp, retval=True)
    event.listen(
        session,
        "before_flush",
        lambda s, *_: [setattr(x, "tenant_id", "t1") for x in s.new if hasattr(x, "tenant_id") and x.tenant_id is None],
    )

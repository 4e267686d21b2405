"""Orders: stock is checked and taken in one transaction."""

import sqlite3
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel, Field

from monolith_stub.api import After, Here, Id, Limit, not_found, now

router = APIRouter(prefix="/api/orders", tags=["orders"])


class Line(BaseModel):
    """So many of one product."""

    product_id: Id
    quantity: Annotated[int, Field(ge=1, le=100)]


class NewOrder(BaseModel):
    """The body of an order."""

    user_id: Id
    lines: Annotated[list[Line], Field(min_length=1, max_length=50)]


@router.post("", status_code=201)
def create_order(order: NewOrder, shop: Here, response: Response) -> dict[str, Any]:
    """Order products; 422 for an unknown user or product, 409 when the stock does not suffice."""
    quantities: dict[int, int] = {}
    for line in order.lines:
        quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
    with shop.database.write() as connection:
        if not connection.execute("SELECT 1 FROM users WHERE id = ?", (order.user_id,)).fetchone():
            raise HTTPException(422, f"there is no user {order.user_id}")
        prices = {
            product_id: _take_from_stock(connection, product_id, quantity)
            for product_id, quantity in quantities.items()
        }
        total = sum(prices[product_id] * quantity for product_id, quantity in quantities.items())
        order_id = connection.execute(
            "INSERT INTO orders (user_id, status, total_cents, created_at) VALUES (?, 'placed', ?, ?)",
            (order.user_id, total, now()),
        ).lastrowid
        assert order_id is not None
        connection.executemany(
            "INSERT INTO order_lines VALUES (?, ?, ?, ?)",
            ((order_id, product_id, quantity, prices[product_id]) for product_id, quantity in quantities.items()),
        )
        created = _read(connection, order_id)
    response.headers["Location"] = f"/api/orders/{order_id}"
    return created


@router.get("")
def list_orders(
    shop: Here, user_id: Annotated[int, Query(ge=1, lt=10**12)], limit: Limit = 25, after: After = 0
) -> dict[str, Any]:
    """List the orders of a user by id, without their lines."""
    with shop.database.read() as connection:
        rows = connection.execute(
            "SELECT id, user_id, status, total_cents, created_at FROM orders "
            "WHERE user_id = ? AND id > ? ORDER BY id LIMIT ?",
            (user_id, after, limit),
        ).fetchall()
    return {"orders": [dict(row) for row in rows]}


@router.get("/{order_id}")
def read_order(order_id: Id, shop: Here) -> dict[str, Any]:
    """Return one order with its lines."""
    with shop.database.read() as connection:
        return _read(connection, order_id)


def _take_from_stock(connection: sqlite3.Connection, product_id: int, quantity: int) -> int:
    """Reduce the stock and return the price; the caller's transaction is undone by the exception."""
    row = connection.execute("SELECT price_cents, stock FROM products WHERE id = ?", (product_id,)).fetchone()
    if row is None:
        raise HTTPException(422, f"there is no product {product_id}")
    if row["stock"] < quantity:
        raise HTTPException(409, f"only {row['stock']} of product {product_id} left")
    connection.execute("UPDATE products SET stock = stock - ? WHERE id = ?", (quantity, product_id))
    return int(row["price_cents"])


def _read(connection: sqlite3.Connection, order_id: int) -> dict[str, Any]:
    row = connection.execute(
        "SELECT id, user_id, status, total_cents, created_at FROM orders WHERE id = ?", (order_id,)
    ).fetchone()
    if row is None:
        raise not_found("order", order_id)
    lines = connection.execute(
        "SELECT product_id, quantity, price_cents FROM order_lines WHERE order_id = ? ORDER BY product_id",
        (order_id,),
    ).fetchall()
    return {**dict(row), "lines": [dict(line) for line in lines]}

"""The page at `/` that links around, and the health check."""

import html

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from monolith_stub.api import Here

router = APIRouter()

_LINKS = (
    ("/api/products/1", "a product"),
    ("/api/search?q=quiet+coffee", "search: quiet coffee"),
    ("/api/users", "users"),
    ("/api/users/1", "a user"),
    ("/api/orders?user_id=1", "the orders of a user"),
    ("/api/orders/1", "an order"),
    ("/api/recommendations/users/1/products", "products for a user"),
    ("/api/recommendations/users/1/friends", "friends for a user"),
    ("/api/reports/nightly", "nightly reports"),
    ("/docs", "the whole API"),
)


@router.get("/health")
async def health() -> dict[str, str]:
    """Answer at once, from the event loop: it tells that the process lives, not that it is idle."""
    return {"status": "ok"}


@router.get("/", response_class=HTMLResponse)
def home(shop: Here) -> str:
    """The front page: the categories and a link to each kind of resource."""
    with shop.database.read() as connection:
        rows = connection.execute("SELECT DISTINCT category FROM products ORDER BY category").fetchall()
    links = [(f"/api/products?category={row[0]}", row[0]) for row in rows]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>The shop</title><h1>The shop</h1>"
        f"<h2>Categories</h2>{_list(links)}<h2>More</h2>{_list(list(_LINKS))}</html>"
    )


def _list(links: list[tuple[str, str]]) -> str:
    items = (f'<li><a href="{html.escape(path)}">{html.escape(text)}</a></li>' for path, text in links)
    return f"<ul>{''.join(items)}</ul>"

"""One browser for all views; a page that logs an error or asks elsewhere fails its test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from admin_page import AdminPage, admin_page
from chromium import chromium

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


@pytest.fixture(scope="session")
def browser() -> Iterator[BrowserContext]:
    with chromium() as context:
        yield context


@pytest.fixture(scope="module")
def shop_page() -> Iterator[AdminPage]:
    """The admin page of a shop with live traffic."""
    with admin_page() as page:
        yield page


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A new page in light colours, 1280 by 800."""
    one = browser.new_page()
    one.set_viewport_size({"width": 1280, "height": 800})
    one.emulate_media(color_scheme="light")
    errors: list[str] = []
    elsewhere: list[str] = []

    def ask(request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            elsewhere.append(request.url)

    one.on("pageerror", lambda error: errors.append(str(error)))
    one.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    one.on("request", ask)
    yield one
    one.close()
    expected = getattr(one, "expected_errors", ())
    assert [error for error in errors if not any(part in error for part in expected)] == []
    assert elsewhere == []

"""Debian's Chromium without a window, driven by Playwright; both are installed by `make system`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

PROGRAM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",  # its sandbox does not run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(*hosts: str) -> Iterator[BrowserContext]:
    """A fresh profile for which these hosts are on loopback and any certificate is good."""
    # Not at the top: tests that need no browser are collected without it.
    from playwright.sync_api import sync_playwright

    rules = ",".join(f"MAP {host} 127.0.0.1" for host in hosts)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, args=[*ARGUMENTS, f"--host-resolver-rules={rules}"], timeout=60_000
        )
        context = browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(30_000)
        yield context
        context.close()
        browser.close()

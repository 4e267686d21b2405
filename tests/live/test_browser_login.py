"""A browser goes through the login, with all that browsers do about cookies, redirects and HTTP/2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Authority
from chromium import chromium
from login_site import HOST
from oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider
from scripted_target import ScriptedTarget
from served import serving

TABLE = """
version: 1
listeners:
  - port: PORT
    protocol: HTTPS
    certificates: [{certificate_file: site.pem, private_key_file: site.key}]
    default: {forward: targets}
    rules:
      - priority: 1
        conditions: [{path-pattern: /private/*}]
        authenticate-oidc:
          issuer: PROVIDER
          authorization_endpoint: PROVIDER/authorize
          token_endpoint: PROVIDER/token
          user_info_endpoint: PROVIDER/userinfo
          client_id: CLIENT
          client_secret: ${SECRET}
        forward: targets
target_groups:
  targets: {targets: ["http://127.0.0.1:TARGET"], health_check: {enabled: false}}
"""
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 23\r\n\r\n<title>The page</title>"


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    one = OidcProvider()
    one.has_form = True
    yield one
    one.close()


@pytest.mark.system
def test_a_browser_logs_in(provider: OidcProvider, target: Callable[..., ScriptedTarget], tmp_path: Path) -> None:
    Authority(tmp_path).issue("site", HOST)
    site = target()
    site.script = site.answering(PAGE)
    names = {"PROVIDER": provider.url, "CLIENT": CLIENT_ID, "TARGET": str(site.port)}
    table = TABLE
    for name, value in names.items():
        table = table.replace(name, value)
    with serving(tmp_path, table, environment={"SECRET": CLIENT_SECRET}) as served, chromium(HOST) as browser:
        url = f"https://{HOST}:{served.port}/private/page?x=%20y"
        page = browser.new_page()

        page.goto(url)
        assert page.title() == "Log in"
        assert [request.target for request in site.requests] == []
        page.fill("input[name=user]", "zoe")
        page.click("button")
        page.wait_for_url(url)

        assert page.title() == "The page"
        assert site.requests[0].target == b"/private/page?x=%20y"
        assert site.requests[0].value("x-amzn-oidc-identity") == b"user-1"
        (cookie,) = browser.cookies(url)
        assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("AWSELBAuthSessionCookie-0", True, True)
        assert page.evaluate("document.cookie") == ""
        assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"

        # The session is enough for what the page asks for, and for another page.
        asks = "Promise.all([1, 2, 3].map(n => fetch('/private/' + n).then(answer => answer.status)))"
        assert page.evaluate(asks) == [200, 200, 200]
        page.goto(url)
        assert page.title() == "The page"
        assert provider.count("/token") == 1

        # An application logs out by taking the cookie away.
        browser.clear_cookies()
        page.goto(url)
        assert page.title() == "Log in"

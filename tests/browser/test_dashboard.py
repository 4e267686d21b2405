"""The dashboard in a real browser: every view, by pointer and by keyboard, dark and light, wide and narrow."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from admin_page import AdminPage, admin_page
from scripted_target import ScriptedTarget
from served import serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.system

PATIENCE = 20.0

VIEWS = {
    "overview": ("Overview", "of the requests no longer reach the monolith"),
    "routes": ("Route map", "path-pattern: /api/recommendations/*"),
    "transactions": ("Transactions", "GET /images/{id}/{size}"),
    "candidates": ("Candidates", "Bandwidth: 61% of all bytes."),
    "progress": ("Progress", "Ready to delete"),
    "targets": ("Targets", "Target.Timeout: no answer within 2 s"),
    "live": ("Live requests", "/api/recommendations/3"),
    "explain": ("Which rule takes this request?", "Source address"),
}


def until(page: Page, expression: str, argument: Any = None) -> None:
    """Wait for a condition on the page; Playwright's own way needs `eval`, which the page's policy forbids."""
    deadline = time.monotonic() + PATIENCE
    while not page.evaluate(expression, argument):
        assert time.monotonic() < deadline, f"never so: {expression}"
        page.wait_for_timeout(20)


def open_view(page: Page, shop: AdminPage, view: str) -> None:
    page.goto(f"{shop.url}#/{view}")
    page.locator(f".view-{view} h2").wait_for()
    page.get_by_text(VIEWS[view][1]).first.wait_for()


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_shows_what_it_is_for(page: Page, shop_page: AdminPage, view: str) -> None:
    open_view(page, shop_page, view)

    assert page.locator("h2").inner_text() == VIEWS[view][0]
    assert page.title() == f"{page.locator('nav a[aria-current]').inner_text()} · Strangler Fig"
    until(page, "document.getElementById('connection').textContent.startsWith('Live')")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [360, 768, 1600])
def test_no_view_is_wider_than_the_window(page: Page, shop_page: AdminPage, view: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 780})
    open_view(page, shop_page, view)

    until(page, "document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("view", VIEWS)
def test_text_can_be_read_in_light_and_in_dark(page: Page, shop_page: AdminPage, view: str) -> None:
    """WCAG 2.2 1.4.3: 4.5 to 1 for what is written, against what is behind it."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        open_view(page, shop_page, view)
        assert page.evaluate(CONTRASTS) == [], scheme


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return rgba("white");
  };
  const found = [];
  const HIDDEN = ".unseen, .skip, option, datalist, script, title, .dot.chosen";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest(HIDDEN)) continue;
    const style = getComputedStyle(node);
    const colour = rgba(node.closest("svg") ? style.fill : style.color);
    const [one, two] = [light(colour), light(behind(node))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < 4.5) found.push(`${walker.currentNode.data.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""


def test_the_theme_can_be_chosen_and_is_remembered(page: Page, shop_page: AdminPage) -> None:
    open_view(page, shop_page, "overview")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)

    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(paper) == light
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(paper) != light
    page.reload()
    assert page.get_by_role("button", name="Theme: dark").is_visible()
    assert page.evaluate(paper) != light
    page.get_by_role("button", name="Theme").click()


def test_keyboard_alone_leads_through_views(page: Page, shop_page: AdminPage) -> None:
    """The skip link comes first; a view that was opened by a link has the focus on its heading."""
    open_view(page, shop_page, "overview")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    page.locator("nav a", has_text="Targets").focus()
    page.keyboard.press("Enter")
    page.locator(".view-targets h2").wait_for()
    until(page, "document.activeElement.id === 'title'")
    assert page.locator("nav a[aria-current='page']").inner_text() == "Targets"


def test_a_chart_is_read_with_the_arrow_keys(page: Page, shop_page: AdminPage) -> None:
    open_view(page, shop_page, "overview")
    chart = page.locator(".chart", has_text="Response time")
    chart.locator("svg").focus()
    page.keyboard.press("Home")

    chart.locator(".legend b").first.wait_for()
    first = chart.locator(".reading").inner_text()
    page.keyboard.press("ArrowRight")
    until(page, "text => document.querySelectorAll('.chart .reading')[1].textContent !== text", first)
    assert re.search(r"\d+ ms|\d s", chart.locator(".legend").inner_text())


def test_figures_move_by_themselves(page: Page, shop_page: AdminPage) -> None:
    open_view(page, shop_page, "overview")
    requests = page.locator("dd").nth(4)
    before = requests.inner_text()

    until(page, "text => document.querySelectorAll('dd')[4].textContent !== text", before)


def test_the_route_map_has_a_band_for_each_way(page: Page, shop_page: AdminPage) -> None:
    open_view(page, shop_page, "routes")
    ways = page.locator(".map path.band:not(.none) title").all_text_contents()

    assert len(ways) == 18
    assert any(re.match(r"users to users: weight 10\.?0? ?%", way.replace("10 %", "10 %")) for way in ways), ways
    widths = {
        way.split(":")[0]: float(path.get_attribute("stroke-width") or 0)
        for way, path in zip(ways, page.locator(".map path.band:not(.none)").all(), strict=True)
    }
    assert widths["default to monolith"] > widths["recommendations to recommendations"] > widths["signup to monolith"]


def test_transactions_are_sorted_by_their_headers(page: Page, shop_page: AdminPage) -> None:
    open_view(page, shop_page, "transactions")
    first = page.locator(".grid tbody tr:not(.filler) th").first
    assert first.inner_text() == "GET /images/{id}/{size}"

    def is_first(name: str) -> None:
        until(page, "name => document.querySelector('.grid tbody tr:not(.filler) th').innerText === name", name)

    page.get_by_role("button", name="Rate").click()
    is_first("GET /products")
    assert page.locator("th[aria-sort]").inner_text().startswith("Rate")
    page.get_by_role("button", name="Rate").click()
    is_first("GET /reports/sales")
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"


def test_a_transaction_shows_the_monolith_beside_the_service(page: Page, shop_page: AdminPage) -> None:
    """Enter on a row opens it, the focus goes to its heading, Escape closes and leads back."""
    open_view(page, shop_page, "transactions")
    page.get_by_placeholder("Filter by name or group").fill("recommendations get")
    rows = page.locator(".grid tbody tr:not(.filler)")
    until(page, "document.querySelectorAll('.grid tbody tr:not(.filler)').length === 2")
    rows.first.focus()
    page.keyboard.press("Enter")

    details = page.locator(".details")
    details.wait_for()
    until(page, "document.activeElement.id === 'details-title'")
    assert details.locator("thead th").all_inner_texts() == ["", "monolith", "recommendations", "Change"]
    assert re.search(r"p95\s+1\.\d+ s\s+\d+\.\d ms\s+× 0\.\d\d", details.inner_text())
    assert details.locator(".histogram rect").count() > 10
    page.keyboard.press("Escape")
    details.wait_for(state="detached")
    until(page, "document.activeElement.localName === 'tr'")


def test_the_filter_keeps_what_is_typed_while_figures_move(page: Page, shop_page: AdminPage) -> None:
    open_view(page, shop_page, "transactions")
    field = page.get_by_placeholder("Filter by name or group")
    field.fill("cart")
    asked = shop_page.asked.count("/api/transactions")

    while shop_page.asked.count("/api/transactions") < asked + 2:
        page.wait_for_timeout(50)

    assert field.input_value() == "cart"
    assert page.evaluate("document.activeElement.type") == "search"
    assert page.locator(".grid tbody tr:not(.filler)").count() == 2


@pytest.fixture(scope="module")
def large() -> Iterator[AdminPage]:
    with admin_page(transactions=1000) as page:
        yield page


def test_a_thousand_transactions_are_as_light_as_ten(page: Page, large: AdminPage) -> None:
    """Only the rows in sight exist; all can be reached by scrolling and by keys."""
    open_view(page, large, "transactions")
    rows = page.locator(".grid tbody tr:not(.filler)")
    assert page.locator(".grid table").get_attribute("aria-rowcount") == "1001"
    assert rows.count() < 60

    page.get_by_role("button", name="Transaction").click()
    page.locator(".grid").evaluate("grid => { grid.scrollTop = grid.scrollHeight; }")
    page.locator("tr[aria-rowindex='1001']").wait_for()
    assert rows.count() < 60
    page.locator("tr[aria-rowindex='1001']").focus()
    page.keyboard.press("Home")
    until(page, "document.activeElement.getAttribute('aria-rowindex') === '2'")
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowDown")
    until(page, "Number(document.activeElement.getAttribute('aria-rowindex')) > 8")
    assert page.evaluate("document.querySelectorAll('*').length") < 2500


def test_candidates_have_reasons_and_a_rule_to_paste(page: Page, shop_page: AdminPage) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=shop_page.url)
    open_view(page, shop_page, "candidates")
    assert page.locator(".plot .dot").count() == 7

    page.locator(".dot[aria-label*='POST /contacts/match, benefit']").focus()
    page.keyboard.press("Enter")
    page.locator(".candidate h3", has_text="POST /contacts/match").wait_for()
    assert "Big payloads: 40 kB come with a request." in page.locator(".reasons").inner_text()
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.get_by_label("Rule for routes.yaml").text_content()


@pytest.mark.parametrize(
    ("changes", "said", "pieces"),
    [
        pytest.param(
            {
                "rule": "- name: a\n",
                "rule_listener": "web",
                "rule_target_group": "a:\n  targets: []\n",
                "rule_note": "",
            },
            "under rules: of listener web",
            ["- name: a\n", "a:\n  targets: []\n"],
            id="a rule and its target group",
        ),
        pytest.param(
            {"rule": "- name: a\n", "rule_listener": "web", "rule_target_group": "", "rule_note": "no room"},
            "Mind: no room",
            ["- name: a\n"],
            id="a rule with something to mind",
        ),
        pytest.param(
            {"rule": "", "rule_listener": "web", "rule_target_group": "", "rule_note": "rule 'a' takes it already"},
            "Nothing to paste: rule 'a' takes it already.",
            [],
            id="a rule that is there",
        ),
        pytest.param(
            {"rule": "", "rule_listener": "", "rule_target_group": "", "rule_note": ""},
            "No ALB pattern covers it",
            [],
            id="no pattern",
        ),
    ],
)
def test_what_to_paste_for_a_candidate(page: Page, changes: dict[str, str], said: str, pieces: list[str]) -> None:
    def change(documents: dict[str, Any]) -> None:
        for candidate in documents["/api/candidates"]["candidates"]:
            candidate.update(changes)

    with admin_page(change=change, is_live=False) as shop:
        page.goto(f"{shop.url}#/candidates")
        page.locator(".candidate").get_by_text(said).wait_for()
        assert page.locator(".candidate .rule pre").all_text_contents() == pieces


def test_years_of_progress_are_drawn_as_one_curve(page: Page) -> None:
    def change(documents: dict[str, Any]) -> None:
        sums = {"monolith_requests": 60, "moved_requests": 40, "monolith_seconds": 7.0, "moved_seconds": 1.0}
        documents["/api/progress"]["points"] = [{"at": 1.7e9 + 3600.0 * hour, **sums} for hour in range(14_000)]

    with admin_page(change=change, is_live=False) as shop:
        page.goto(f"{shop.url}#/progress")
        page.get_by_text("40.0 % of the requests have moved.").wait_for()
        curve = page.locator(".chart path.line.trunk").first.get_attribute("d") or ""
        assert 100 < curve.count("L") < 300


def test_live_requests_come_paused_or_not_and_without_secrets(page: Page, shop_page: AdminPage) -> None:
    open_view(page, shop_page, "live")
    until(page, "document.querySelectorAll('.live tbody tr').length > 60")
    assert "s3cret" not in page.locator("main").inner_text()
    assert "?…" in page.locator("main").inner_text()

    page.get_by_role("button", name="Pause").click()
    page.get_by_text("Paused.").wait_for()
    before = page.locator(".live tbody").inner_text()
    page.wait_for_timeout(1200)
    assert page.locator(".live tbody").inner_text() == before
    page.get_by_role("button", name="Go on").click()
    until(page, "text => document.querySelector('.live tbody').innerText !== text", before)
    page.get_by_placeholder("Filter, such as").fill("301 www")
    until(page, "[...document.querySelectorAll('.live tbody tr')].every((row) => row.innerText.includes('301'))")


def test_the_form_explains_a_request(page: Page, shop_page: AdminPage) -> None:
    open_view(page, shop_page, "explain")
    page.get_by_label("URL").fill("/api/users/7?utm_source=none")
    page.keyboard.press("Enter")

    answer = page.locator(".answer", has_text="Rule users takes it")
    answer.wait_for()
    assert "bots 10 not: query-string saw utm_source=none" in re.sub(r"\s+", " ", answer.inner_text())
    page.get_by_label("Headers").fill("not a header")
    page.get_by_role("button", name="Explain").click()
    page.get_by_role("alert").wait_for()
    page.expected_errors = ["422"]  # type: ignore[attr-defined]


def test_a_gateway_that_is_gone_is_said_and_found_again(page: Page) -> None:
    with admin_page() as shop:
        page.expected_errors = ["ERR_CONNECTION", "ERR_EMPTY", "ERR_INCOMPLETE"]  # type: ignore[attr-defined]
        open_view(page, shop, "overview")
        shop.stop()
        page.get_by_text("The gateway does not answer").wait_for()
        assert "Next try in" in page.locator("#connection").inner_text()
        assert page.locator(".tiles").is_visible()

        shop.start_again()
        until(page, "document.getElementById('connection').textContent.startsWith('Live')")


@pytest.mark.parametrize(
    ("view", "path", "document", "said"),
    [
        pytest.param("transactions", "/api/transactions", None, "Not measured here", id="no transactions at all"),
        pytest.param(
            "transactions",
            "/api/transactions",
            {"window": {"seconds": 60.0, "since": 0.0}, "transactions": []},
            "No transactions yet",
            id="no traffic yet",
        ),
        pytest.param("candidates", "/api/candidates", None, "Not measured here", id="no candidates at all"),
        pytest.param(
            "candidates",
            "/api/candidates",
            {"source": "live", "state": "collecting", "requests": 12, "seconds": 60.0, "candidates": [], "since": 0.0},
            "are too few to tell one transaction from another",
            id="collecting",
        ),
        pytest.param("progress", "/api/progress", None, "Not measured here", id="no progress at all"),
        pytest.param(
            "progress", "/api/progress", {"points": [], "ready_to_delete": []}, "The first point", id="no point yet"
        ),
    ],
)
def test_what_is_not_there_yet_says_what_to_do(page: Page, view: str, path: str, document: Any, said: str) -> None:
    def change(documents: dict[str, Any]) -> None:
        documents[path] = document

    page.expected_errors = ["404"]  # type: ignore[attr-defined]
    with admin_page(change=change, is_live=False) as shop:
        page.goto(f"{shop.url}#/{view}")
        page.get_by_text(said).first.wait_for()


TABLE = """
version: 1
listeners:
  - port: PORT
    name: web
    default: {{forward: monolith}}
    rules:
      - {{name: users, priority: 10, conditions: [path-pattern: /users/*], forward: {{monolith: 1, users: 1}}}}
target_groups:
  monolith: {{targets: ["http://127.0.0.1:{one}"], health_check: {{interval_seconds: 5, timeout_seconds: 2}}}}
  users: {{targets: ["http://127.0.0.1:{two}"], health_check: {{interval_seconds: 5, timeout_seconds: 2}}}}
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_real_gateway_under_real_traffic(page: Page, tmp_path: Path, workers: str) -> None:
    """Also with workers: one overview, one tail of all of them."""
    one, two = ScriptedTarget(), ScriptedTarget()
    try:
        with serving(tmp_path, TABLE.format(one=one.port, two=two.port), "--workers", workers) as gateway:
            page.goto(f"http://127.0.0.1:{gateway.admin_port}/#/live")
            page.get_by_text("Silence").wait_for()

            def ask() -> bool:
                # Each request on a connection of its own, so that the kernel spreads them over the workers.
                for path in ("/", "/users/7?password=s3cret", "/users/8"):
                    assert httpx.get(f"http://127.0.0.1:{gateway.port}{path}", trust_env=False).status_code == 200
                return page.locator(".live tbody tr").count() > 20

            gateway.eventually(ask, "no live requests are shown")
            assert "s3cret" not in page.content()

            def is_ranked() -> bool:
                ask()
                return bool(gateway.admin.get("/api/candidates").json()["candidates"])

            gateway.eventually(is_ranked, "there is no candidate")
            said = {
                "overview": "of the requests no longer",
                "routes": "path-pattern: /users/*",
                "targets": "2 of 2 targets",
                "transactions": "/users/",
                "candidates": "of the monolith's demand",
                "progress": "Rules by use",
            }
            for view, text in said.items():
                page.goto(f"http://127.0.0.1:{gateway.admin_port}/#/{view}")
                page.get_by_text(text).first.wait_for()
    finally:
        one.close()
        two.close()

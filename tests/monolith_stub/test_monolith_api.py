"""Each transaction of the monolith over real HTTP."""

import io
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest
from PIL import Image
from running_process import Running

from monolith_stub import seed, traffic

CARD = {
    "number": "4111 1111 1111 1111",
    "expiry_month": 12,
    "expiry_year": 2090,
    "cvc": "987",
    "holder": "Ada L",
}
_numbers = itertools.count(1)


def signup(**changes: object) -> dict[str, object]:
    """Return the body of a signup with an address that nobody has."""
    email = f"new.{next(_numbers)}@example.org"
    return {"email": email, "name": "New User", "password": "correct horse", "city": "Paris", **changes}


def picture(width: int = 800, height: int = 600, kind: str = "JPEG") -> bytes:
    """Return an image file."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(file, kind)
    return file.getvalue()


def test_health_names_who_answered(shop: Running) -> None:
    """The header tells the monolith from the services; it stands on errors too."""
    good, bad = shop.http.get("/health"), shop.http.get("/nowhere")

    assert (good.status_code, good.json()) == (200, {"status": "ok"})
    assert good.headers["X-Served-By"] == "monolith"
    assert (bad.status_code, bad.headers["X-Served-By"]) == (404, "monolith")


def test_clicks_are_counted_by_page_and_minute(shop: Running) -> None:
    """What streaming does elsewhere, within the request."""
    pages = ["/tea", "/tea", "/mugs"]
    statuses = [shop.http.post("/api/clicks", json={"page": page}).status_code for page in pages]
    counted: dict[str, int] = {}
    for each in shop.http.get("/api/clicks").json()["clicks"]:
        counted[each["page"]] = counted.get(each["page"], 0) + each["clicks"]

    assert statuses == [202] * 3
    assert counted == {"/tea": 2, "/mugs": 1}
    assert shop.http.post("/api/clicks", json={"page": "tea"}).status_code == 422


def test_front_page_links_lead_somewhere(shop: Running) -> None:
    """No link of the front page is dead."""
    page = shop.http.get("/")
    paths = [part.partition('"')[0] for part in page.text.split('href="')[1:]]

    assert page.headers["Content-Type"].startswith("text/html")
    assert len(paths) > 20
    assert {path: shop.http.get(path).status_code for path in paths} == dict.fromkeys(paths, 200)


def test_signup_delivers_the_mail_before_it_answers(shop: Running) -> None:
    """When the 201 arrives, the user can be read and the welcome mail lies in the maildir."""
    response = shop.http.post("/api/users", json=signup(email=" Kim.New@Example.ORG "))
    user = response.json()

    assert response.status_code == 201
    assert response.headers["Location"] == f"/api/users/{user['id']}"
    assert user["email"] == "kim.new@example.org"
    assert "password" not in response.text
    assert shop.http.get(f"/api/users/{user['id']}").json() == user
    assert sum("To: kim.new@example.org" in mail for mail in shop.mail) == 1


def test_login_needs_the_password(shop: Running) -> None:
    """Seeded users share a known password; a wrong one and an unknown address get the same answer."""
    email = shop.http.get("/api/users/1").json()["email"]
    good = shop.http.post("/api/users/login", json={"email": email, "password": seed.PASSWORD})
    wrong = shop.http.post("/api/users/login", json={"email": email, "password": "something else"})
    unknown = shop.http.post("/api/users/login", json={"email": "x@example.org", "password": seed.PASSWORD})

    assert (good.status_code, good.json()["id"]) == (200, 1)
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.json() == unknown.json()


def test_users_are_listed_in_pages(shop: Running) -> None:
    """`after` continues where the page before ended."""
    first = shop.http.get("/api/users", params={"limit": 3}).json()["users"]
    second = shop.http.get("/api/users", params={"limit": 3, "after": 3}).json()["users"]

    assert [user["id"] for user in first + second] == [1, 2, 3, 4, 5, 6]


def test_catalogue(shop: Running) -> None:
    """Categories cover the products, and a product of a list can be read."""
    categories = shop.http.get("/api/categories").json()["categories"]
    toys = shop.http.get("/api/products", params={"category": "toys", "limit": 100}).json()["products"]
    product = shop.http.get(f"/api/products/{toys[0]['id']}").json()

    assert sum(category["products"] for category in categories) == seed.PRODUCTS
    assert {"name": "toys", "products": len(toys)} in categories
    assert {key: product[key] for key in toys[0]} == toys[0]


def test_search_ranks_products_with_all_words_first(shop: Running) -> None:
    """Both words in the name beat one word; a word that is nowhere finds nothing."""
    found = shop.http.get("/api/search", params={"q": "Quiet, coffee MUG"}).json()
    nothing = shop.http.get("/api/search", params={"q": "xyzzy"}).json()

    assert {"quiet", "mug"} <= set(found["products"][0]["name"].lower().split())
    assert found["found"] > len(found["products"]) == 10
    assert nothing == {"found": 0, "products": []}


def test_order_takes_stock_and_can_be_read(shop: Running) -> None:
    """Lines of one product are added up; prices are those of the catalogue."""
    before = shop.http.get("/api/products/21").json()
    lines = [{"product_id": 21, "quantity": 2}, {"product_id": 21, "quantity": 1}]
    response = shop.http.post("/api/orders", json={"user_id": 77, "lines": lines})
    order = response.json()

    assert response.status_code == 201
    assert order["lines"] == [{"product_id": 21, "quantity": 3, "price_cents": before["price_cents"]}]
    assert order["total_cents"] == 3 * before["price_cents"]
    assert shop.http.get("/api/products/21").json()["stock"] == before["stock"] - 3
    assert shop.http.get(response.headers["Location"]).json() == order
    listed = shop.http.get("/api/orders", params={"user_id": 77}).json()["orders"]
    assert order["id"] in [each["id"] for each in listed]


def test_an_order_is_all_or_nothing(shop: Running) -> None:
    """When the second line cannot be had, the stock of the first is untouched."""
    before = shop.http.get("/api/products/22").json()["stock"]
    lines = [{"product_id": 22, "quantity": 1}, {"product_id": 50, "quantity": 100}]
    response = shop.http.post("/api/orders", json={"user_id": 1, "lines": lines})

    assert response.status_code == 409
    assert "product 50" in response.json()["detail"]
    assert shop.http.get("/api/products/22").json()["stock"] == before


def test_stock_is_never_negative_under_concurrent_orders(shop: Running) -> None:
    """Of many who want the last pieces at once, exactly as many get them as there are."""
    low = next(
        product
        for product_id in range(50, 1001, 50)
        if 2 <= (product := shop.http.get(f"/api/products/{product_id}").json())["stock"] <= 5
    )
    order = {"user_id": 1, "lines": [{"product_id": low["id"], "quantity": 1}]}
    with ThreadPoolExecutor(16) as threads:
        statuses = list(threads.map(lambda _: shop.http.post("/api/orders", json=order).status_code, range(40)))

    assert statuses.count(201) == low["stock"]
    assert statuses.count(409) == 40 - low["stock"]
    assert shop.http.get(f"/api/products/{low['id']}").json()["stock"] == 0


def test_one_address_signs_up_once_under_concurrency(shop: Running) -> None:
    """Two who pass the first check together are told apart by the database."""
    body = signup()
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: shop.http.post("/api/users", json=body).status_code, range(8)))

    assert sorted(statuses) == [201, *[409] * 7]


def test_contacts_are_matched(shop: Running) -> None:
    """E-mails and phones are matched in any spelling; strangers and the user's own entry are not."""
    users = {user_id: shop.http.get(f"/api/users/{user_id}").json() for user_id in (11, 12, 13)}
    contacts = [
        {"name": "by mail", "emails": ["nobody@example.org", users[12]["email"].upper()]},
        {"name": "by phone", "phones": [users[13]["phone"].replace("+49", "0049 ")]},
        {"name": "myself", "emails": [users[11]["email"]]},
        {"name": "without anything"},
    ]
    answer = shop.http.post("/api/contacts/11", json={"contacts": contacts}).json()

    assert answer == {
        "contacts": 4,
        "hashes": 4,
        "matched": [{"id": user_id, "name": users[user_id]["name"]} for user_id in (12, 13)],
    }


def test_friend_recommendations_are_friends_of_friends(shop: Running) -> None:
    """Against the seeded graph: none is a friend already, and mutual friends are counted right."""
    friends: dict[int, set[int]] = {}
    for one, other in seed.friendships():
        friends.setdefault(one, set()).add(other)
        friends.setdefault(other, set()).add(one)
    answer = shop.http.get("/api/recommendations/users/5/friends", params={"limit": 20}).json()["friends"]

    assert len(answer) == 20
    assert not {friend["id"] for friend in answer} & (friends[5] | {5})
    assert [friend["mutual_friends"] for friend in answer] == [
        len(friends[5] & friends[friend["id"]]) for friend in answer
    ]
    assert [friend["score"] for friend in answer] == sorted((f["score"] for f in answer), reverse=True)


def test_product_recommendations_leave_out_what_one_has(shop: Running) -> None:
    """A user is never recommended what they have bought; a new user gets what sells best."""
    bought = {
        line["product_id"]
        for order in shop.http.get("/api/orders", params={"user_id": 5, "limit": 100}).json()["orders"]
        for line in shop.http.get(f"/api/orders/{order['id']}").json()["lines"]
    }
    answer = shop.http.get("/api/recommendations/users/5/products").json()["products"]
    new_id = shop.http.post("/api/users", json=signup()).json()["id"]
    for_new = shop.http.get(f"/api/recommendations/users/{new_id}/products").json()["products"]

    assert bought
    assert len(answer) == len(for_new) == 10
    assert not bought & {product["id"] for product in answer}
    assert shop.http.get(f"/api/recommendations/users/{new_id}/friends").json()["friends"] == []


def test_payment_gives_a_token_and_no_card_number(shop: Running) -> None:
    """An order is paid once; what remains of the card is brand, last digits and a random token."""
    response = shop.http.post("/api/payments", json={"order_id": 8500, "card": CARD})
    payment = response.json()
    order = shop.http.get("/api/orders/8500").json()

    assert response.status_code == 201
    assert (payment["brand"], payment["last4"]) == ("visa", "1111")
    assert payment["card_token"].startswith("tok_")
    assert payment["amount_cents"] == order["total_cents"]
    assert order["status"] == "paid"
    assert shop.http.get(response.headers["Location"]).json() == payment
    assert shop.http.post("/api/payments", json={"order_id": 8500, "card": CARD}).status_code == 409


def test_card_details_appear_nowhere(shop: Running) -> None:
    """Not in answers, not in the log, not in the data folder: also for refused and misplaced ones."""
    number, code = "5555555555554444", "31337"
    card = {**CARD, "number": number, "cvc": "313"}
    answers = [
        shop.http.post("/api/payments", json={"order_id": 8501, "card": card}),
        shop.http.post("/api/payments", json={"order_id": 8502, "card": {**card, "number": number[:-1] + "5"}}),
        shop.http.post("/api/payments", json={"order_id": 8502, "card": {**card, "cvc": code}}),
        shop.http.post("/api/payments", json={"order_id": 8502, "card": {**card, "holder": ""}}),
        shop.http.post("/api/payments", json={"order_id": 8502, "card": {**card, "expiry_year": 2020}}),
        shop.http.post("/api/payments", content=f'{{"card": {{"number": "{number}"'),
        shop.http.get("/api/payments/1", params={"number": number}),
        shop.http.get("/api/payments/" + number),
    ]
    statuses = [answer.status_code for answer in answers]
    seen = "".join(answer.text for answer in answers) + shop.log.read_text()
    stored = b"".join(file.read_bytes() for file in shop.data.rglob("*") if file.is_file())

    assert statuses[:6] == [201, 422, 422, 422, 422, 422]
    assert number[:-1] not in seen
    assert code not in seen
    assert number.encode() not in stored


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_image_is_resized(shop: Running, kind: str) -> None:
    """Every size fits its square, keeps the shape, is never enlarged, and can be read back."""
    body = picture(1200, 600, kind)
    response = shop.http.post("/api/images", content=body, headers={"Content-Type": f"image/{kind.lower()}"})
    sizes = response.json()["sizes"]
    thumb = shop.http.get(sizes["thumb"]["path"])

    assert response.status_code == 201
    assert {name: (size["width"], size["height"]) for name, size in sizes.items()} == {
        "large": (1200, 600),
        "medium": (960, 480),
        "small": (480, 240),
        "thumb": (160, 80),
    }
    assert thumb.headers["Content-Type"] == "image/jpeg"
    with Image.open(io.BytesIO(thumb.content)) as image:
        assert image.size == (160, 80)


def test_image_may_come_in_a_form(shop: Running) -> None:
    """A browser's upload form works as the raw body does."""
    response = shop.http.post("/api/images", files={"photo": ("photo.jpg", picture(), "image/jpeg")})

    assert response.status_code == 201
    assert response.json()["sizes"]["thumb"]["width"] == 160


def test_nightly_report_can_be_run_and_read(shop: Running) -> None:
    """The report adds up to what the orders say."""
    response = shop.http.post("/api/reports/nightly")
    report = response.json()
    today = report["day"]

    assert response.status_code == 201
    assert abs((datetime.fromisoformat(today).date() - datetime.now(UTC).date()).days) <= 1
    assert sum(month["orders"] for month in report["revenue_by_month"]) >= seed.ORDERS
    assert len(report["revenue_by_category"]) == len(seed.CATEGORIES)
    assert shop.http.get(response.headers["Location"]).json() == report
    assert today in shop.http.get("/api/reports/nightly").json()["days"]
    assert shop.http.get("/api/reports/nightly/1999-01-01").status_code == 404


def _post(path: str, content: object, kind: str = "application/json") -> httpx.Request:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return httpx.Request("POST", f"http://shop{path}", content=body, headers={"Content-Type": kind})


def _get(path: str) -> httpx.Request:
    return httpx.Request("GET", f"http://shop{path}")


def _streamed(path: str, size: int) -> httpx.Request:
    pieces = iter([b" " * 65536] * (size // 65536))
    headers = {"Content-Type": "application/json"}
    return httpx.Request("POST", f"http://shop{path}", content=pieces, headers=headers)


ORDER_LINE = {"product_id": 1, "quantity": 1}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(_get("/api/users/999999"), 404, id="no such user"),
        pytest.param(_get("/api/users/abc"), 422, id="user id is a word"),
        pytest.param(_get("/api/users/0"), 422, id="user id is zero"),
        pytest.param(_get(f"/api/users/{2**63}"), 422, id="user id is larger than the database's integers"),
        pytest.param(_get("/api/users?limit=101"), 422, id="page too large"),
        pytest.param(_get("/api/products/999999"), 404, id="no such product"),
        pytest.param(_get("/api/search"), 422, id="search without words"),
        pytest.param(_get("/api/search?q=" + "a" * 101), 422, id="search too long"),
        pytest.param(_get("/api/orders"), 422, id="orders of nobody"),
        pytest.param(_get("/api/orders/999999"), 404, id="no such order"),
        pytest.param(_get("/api/payments/999999"), 404, id="no such payment"),
        pytest.param(_get("/api/images/999999/thumb"), 404, id="no such image"),
        pytest.param(_get("/api/images/1/..%2Fcard.key"), 404, id="no way out of the image folder"),
        pytest.param(_get("/api/images/1/huge"), 422, id="no such size"),
        pytest.param(_get("/api/reports/nightly/yesterday"), 422, id="day is not a date"),
        pytest.param(_get("/api/recommendations/users/999999/friends"), 404, id="friends of no such user"),
        pytest.param(_get("/api/recommendations/users/999999/products"), 404, id="products for no such user"),
        pytest.param(_post("/api/users", signup(email="no address")), 422, id="not an e-mail address"),
        pytest.param(_post("/api/users", signup(email="a@b.c\nBcc: x@y.z")), 422, id="header injection, address"),
        pytest.param(_post("/api/users", signup(name="A\nB")), 422, id="header injection, name"),
        pytest.param(_post("/api/users", signup(password="short")), 422, id="password too short"),
        pytest.param(_post("/api/users", b'{"email": "\\ud800"}'), 422, id="half a surrogate pair"),
        pytest.param(_post("/api/users", b"{"), 422, id="broken JSON"),
        pytest.param(_post("/api/users", b"[" * 60_000), 400, id="JSON nested too deep"),
        pytest.param(_post("/api/users", b" " * 65_537), 413, id="signup too large"),
        pytest.param(_streamed("/api/users", 2**17), 413, id="signup too large, in chunks"),
        pytest.param(_post("/api/orders", {"user_id": 1, "lines": []}), 422, id="order of nothing"),
        pytest.param(_post("/api/orders", {"user_id": 1, "lines": [ORDER_LINE] * 51}), 422, id="too many lines"),
        pytest.param(_post("/api/orders", {"user_id": 999999, "lines": [ORDER_LINE]}), 422, id="order by nobody"),
        pytest.param(
            _post("/api/orders", {"user_id": 1, "lines": [{"product_id": 999999, "quantity": 1}]}),
            422,
            id="order of an unknown product",
        ),
        pytest.param(
            _post("/api/orders", {"user_id": 1, "lines": [{"product_id": 1, "quantity": -1}]}),
            422,
            id="order of less than nothing",
        ),
        pytest.param(_post("/api/contacts/999999", {"contacts": []}), 404, id="contacts of no such user"),
        pytest.param(_post("/api/contacts/1", {"contacts": [1] * 1000}), 422, id="contacts are numbers"),
        pytest.param(_streamed("/api/contacts/1", 10 * 2**20 + 65536), 413, id="contacts too large, in chunks"),
        pytest.param(_post("/api/payments", {"order_id": 999999, "card": CARD}), 422, id="payment of no order"),
        pytest.param(_post("/api/images", b"no image", "image/jpeg"), 422, id="not an image"),
        pytest.param(_post("/api/images", picture()[:3000], "image/jpeg"), 422, id="half an image"),
        pytest.param(_post("/api/images", b"text", "text/plain"), 415, id="not an image type"),
        pytest.param(_post("/api/images", picture(8000, 7000, "PNG"), "image/png"), 413, id="too many pixels"),
        pytest.param(_post("/api/images", b"\0" * (20 * 2**20 + 1), "image/png"), 413, id="image too large"),
    ],
)
def test_bad_requests(shop: Running, request_: httpx.Request, status: int) -> None:
    """Each is answered with a reason, in little space, and without a stack trace."""
    url = shop.http.base_url.copy_with(raw_path=request_.url.raw_path)
    response = shop.http.send(
        httpx.Request(request_.method, url, content=request_.stream, headers=_content_headers(request_))
    )

    assert response.status_code == status
    assert response.json()["detail"]
    assert len(response.content) < 5000


def _content_headers(request: httpx.Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name != "host"}


def test_sample_traffic_succeeds(shop: Running) -> None:
    """What the generator sends is answered as it means it: errors only where visitors err."""
    allowed = {200, 201, 401, 404, 409}
    statuses = []
    for request in itertools.islice(traffic.sample(3), 300):
        response = shop.http.request(request.method, request.path, headers=dict(request.headers), content=request.body)
        statuses.append(response.status_code)
        assert response.status_code in allowed, (request.method, request.path, response.text)

    assert sum(status < 300 for status in statuses) >= 280

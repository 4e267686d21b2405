"""What the monolith decides without I/O: check digits, redaction, schedule, contact hashes, settings."""

import hashlib
import itertools
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolith_stub import seed, traffic
from monolith_stub.contacts import contact_hash
from monolith_stub.passwords import hash_password, verify_password
from monolith_stub.payments import fingerprint, load_card_key, passes_luhn
from monolith_stub.recommendations import score_products
from monolith_stub.redact import redact
from monolith_stub.reports import seconds_until
from monolith_stub.settings import parse_settings


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        pytest.param("4111111111111111", True, id="sixteen digits, right check digit"),
        pytest.param("378282246310005", True, id="fifteen digits, right check digit"),
        pytest.param("4111111111111112", False, id="wrong check digit"),
        pytest.param("1411111111111111", False, id="two digits swapped"),
        pytest.param("0" * 12, False, id="twelve digits are too few"),
        pytest.param("0" * 20, False, id="twenty digits are too many"),
        pytest.param("٤١١١١١١١١١١١١١١١", False, id="digits of other scripts"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_card_number_check(digits: str, expected: bool) -> None:
    """ISO/IEC 7812-1."""
    assert passes_luhn(digits) is expected


@given(st.text("0123456789", min_size=12, max_size=18))
def test_each_number_has_one_check_digit(digits: str) -> None:
    """Whatever the other digits are, exactly one last digit completes them."""
    assert [passes_luhn(digits + last) for last in "0123456789"].count(True) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("/pay?card=4111111111111111 HTTP/1.1", "/pay?card=[redacted] HTTP/1.1", id="plain"),
        pytest.param("/pay?card=4111-1111-1111-1111", "/pay?card=[redacted]", id="dashes"),
        pytest.param("/pay?card=4111%201111%201111%201111&x", "/pay?card=[redacted]&x", id="encoded spaces"),
        pytest.param("/pay?card=4111+1111+1111+1111", "/pay?card=[redacted]", id="plus signs"),
        pytest.param("127.0.0.1:54321 /api/orders/10001 200", None, id="ports and ids stay"),
    ],
)
def test_redaction(text: str, expected: str | None) -> None:
    """Card numbers go, whatever separates their groups; everything else stays."""
    assert redact(text) == (text if expected is None else expected)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param("2026-03-01T04:59:30", 30, id="later today"),
        pytest.param("2026-03-01T05:00:00", 86400, id="just now: tomorrow"),
        pytest.param("2026-03-01T17:00:00", 12 * 3600, id="tomorrow"),
    ],
)
def test_next_nightly_report(now: str, expected: float) -> None:
    """Five o'clock comes once a day."""
    assert seconds_until(time(5), datetime.fromisoformat(now).replace(tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        pytest.param(" Ada@Example.COM ", "ada@example.com", id="e-mail in any case"),
        pytest.param("+49 (30) 123-4567", "+49301234567", id="phone with punctuation"),
        pytest.param("0049301234567", "+49301234567", id="phone with 00"),
    ],
)
def test_contacts_are_normalised_before_hashing(spelling: str, canonical: str) -> None:
    """Two spellings of one address give one hash."""
    assert contact_hash(spelling) == hashlib.sha256(canonical.encode()).digest()


def test_passwords_are_salted() -> None:
    """The same password gives two hashes, and each verifies only that password."""
    one, other = hash_password("correct horse"), hash_password("correct horse")

    assert one != other
    assert verify_password("correct horse", one)
    assert verify_password("correct horse", other)
    assert not verify_password("correct horsf", one)


def test_seeded_users_have_the_seeded_password() -> None:
    """The constant in the seed belongs to the password beside it."""
    assert verify_password(seed.PASSWORD, seed.PASSWORD_HASH)


def test_seed_is_the_same_on_every_machine() -> None:
    """Every supported Python must draw these rows: services and monolith may run on different ones."""
    rows = repr([*seed.users(), *seed.products(), *seed.orders(), *seed.friendships()])

    assert (
        hashlib.sha256(rows.encode()).hexdigest() == "30e9b2486b8aaf026f651edb14df2c470353eabbb8e6b9735494837eea874d99"
    )


def test_fingerprints_need_the_key(tmp_path: Path) -> None:
    """One card has one fingerprint a key; the key is made once and is private."""
    key = load_card_key(tmp_path / "card.key")

    assert key == load_card_key(tmp_path / "card.key")
    assert len(key) == 32
    assert (tmp_path / "card.key").stat().st_mode & 0o777 == 0o600
    assert fingerprint("4111111111111111", key) == fingerprint("4111111111111111", key)
    assert fingerprint("4111111111111111", key) != fingerprint("4111111111111111", b"other")
    assert [file.name for file in tmp_path.iterdir()] == ["card.key"]


def test_products_bought_together_are_recommended() -> None:
    """10 and 11 are bought by the same people; 12 shares one buyer of two; what one owns is left out."""
    baskets = {1: {10}, 2: {10, 11}, 3: {10, 11, 12}, 4: {13}}

    assert score_products(baskets, 1) == {11: 1_000_000 * 4 // 6, 12: 1_000_000 // 3}
    assert score_products(baskets, 9) == {10: 3, 11: 2, 12: 1, 13: 1}


def test_flags_beat_environment_beats_defaults() -> None:
    """As for every command here."""
    environment = {"MONOLITH_PORT": "1", "MONOLITH_DATA": "/from/environment", "SMTP_HOST": "mail"}
    settings = parse_settings(["--port", "2"], environment)

    assert (settings.host, settings.port, str(settings.data)) == ("127.0.0.1", 2, "/from/environment")
    assert (settings.smtp_host, settings.smtp_port) == ("mail", 25)


@pytest.mark.parametrize(
    ("arguments", "environment", "named"),
    [
        pytest.param(["--port", "65536"], {}, "--port", id="port too high"),
        pytest.param(["--report-at", "25:00"], {}, "--report-at", id="no such time"),
        pytest.param([], {"MONOLITH_PORT": "http"}, "--port", id="port of the environment"),
        pytest.param([], {"SMTP_PORT": "-1"}, "SMTP_PORT", id="mail port of the environment"),
    ],
)
def test_bad_settings_name_the_place(
    arguments: list[str], environment: dict[str, str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Usage errors exit with 2 and tell what to change."""
    with pytest.raises(SystemExit, match="2"):
        parse_settings(arguments, environment)

    assert named in capsys.readouterr().err.splitlines()[-1]


def test_traffic_repeats_itself() -> None:
    """The same number gives the same requests, another one gives others."""
    first, again, other = (list(itertools.islice(traffic.sample(number), 300)) for number in (7, 7, 8))

    assert first == again
    assert first != other


def test_traffic_has_bots_and_mobiles() -> None:
    """What the rules of a demo match on does occur."""
    requests = list(itertools.islice(traffic.sample(), 1000))

    assert 10 <= sum("utm_source=bot" in request.path for request in requests) <= 60
    assert 150 <= sum(request.headers["User-Agent"] == "mobile" for request in requests) <= 300
    assert any("Mobile" in request.headers["User-Agent"] for request in requests)
    assert any(request.headers.get("Version") == "1.0.0" for request in requests)

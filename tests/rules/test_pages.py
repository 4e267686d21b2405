"""The small page of a status (alb.md 8, "Wire form")."""

from __future__ import annotations

from proxy.http1.pages import REASONS, page


def test_the_page_of_503_to_the_byte() -> None:
    wanted = (
        b"<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n"
        b"<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n"
    )

    assert wanted == page(503)
    assert len(page(503)) == 162
    assert len(page(502)) == 122


def test_phrases_are_those_of_nginx_where_the_two_differ() -> None:
    assert (REASONS[504], REASONS[405]) == ("Gateway Time-out", "Not Allowed")


def test_a_status_without_a_phrase_has_a_page() -> None:
    """alb.md 14.17."""
    assert b"<title>299</title>" in page(299)

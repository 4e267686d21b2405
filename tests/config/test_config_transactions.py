"""`transactions` of a table: what it may say, and names written into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.certificates import TableFiles
from proxy.config.edit import EditError
from proxy.config.edit_transactions import add_transaction_names
from proxy.config.load import load
from proxy.config.model import TransactionsConfig
from proxy.config.problem import ConfigError

TABLE = """\
version: 1
listeners: [{port: 8080, default: {forward: monolith}}]
target_groups: {monolith: {targets: [http://localhost:8000]}}
"""


def names(text: str) -> list[str]:
    patterns = load(text, {}).transactions.patterns
    return [f"{pattern.method} /{'/'.join(pattern.segments)}" for pattern in patterns]


def test_a_table_without_transactions_has_the_defaults() -> None:
    assert load(TABLE, {}).transactions == TransactionsConfig()


def test_a_table_with_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text("paths: {/b/{x}: {get: {}}}\n".replace("/b/{x}", '"/b/{x}"'))
    text = TABLE + (
        'transactions: {names: ["GET /a/{id}", /static/*], openapi: [api.yaml], hint_header: X-Name, '
        "distinct_clients: 2, limit: 10, objective_milliseconds: 250}\n"
    )
    config = load(text, {}, files=TableFiles(tmp_path)).transactions
    assert [pattern.segments for pattern in config.given] == [("a", "{id}"), ("static", "*"), ("b", "{x}")]
    assert (config.hint_header, config.distinct_clients, config.limit) == ("x-name", 2, 10)
    assert config.objective_seconds == 0.25
    assert config.openapi[0].file == str(tmp_path / "api.yaml")


BAD = {
    "no path": ("names: [GET orders]", "bad-transaction"),
    "an unknown method": ("names: [FETCH /orders]", "bad-transaction"),
    "a star inside": ("names: [/a/*/b]", "bad-transaction"),
    "a header that frames": ("hint_header: Content-Length", "invalid-value"),
    "no header name": ('hint_header: "a b"', "invalid-value"),
    "no client at all": ("distinct_clients: 0", "out-of-range"),
    "too many names": ("limit: 2001", "out-of-range"),
    "an unknown key": ("name: [GET /a]", "unknown-key"),
    "a file that is not there": ("openapi: [none.yaml]", "unreadable"),
    "a file that is no OpenAPI": ("openapi: [routes.yaml]", "bad-openapi"),
}


@pytest.mark.parametrize(("line", "code"), BAD.values(), ids=BAD)
def test_bad_transactions(line: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("[]")
    with pytest.raises(ConfigError) as caught:
        load(f"{TABLE}transactions:\n  {line}\n", {}, files=TableFiles(tmp_path))
    assert [(problem.code, problem.place.line) for problem in caught.value.problems] == [(code, 5)]


EDITS = {
    "no transactions": (TABLE, TABLE + '\ntransactions:\n  names:\n    - "GET /a/{id}"\n'),
    "no line end": (TABLE.rstrip(), TABLE + '\ntransactions:\n  names:\n    - "GET /a/{id}"\n'),
    "no names": (
        TABLE + "transactions:\n  limit: 5  # few\n",
        TABLE + 'transactions:\n  names:\n    - "GET /a/{id}"\n  limit: 5  # few\n',
    ),
    "a list": (
        TABLE + "transactions:\n  names:\n  - /x  # why\n  # the end\n  limit: 5\n",
        TABLE + 'transactions:\n  names:\n  - /x  # why\n  - "GET /a/{id}"\n  # the end\n  limit: 5\n',
    ),
    "a list in brackets": (
        TABLE + "transactions: {names: [/x], limit: 5}\n",
        TABLE + 'transactions: {names: [/x, "GET /a/{id}"], limit: 5}\n',
    ),
    "an empty list": (TABLE + "transactions: {names: []}\n", TABLE + 'transactions: {names: ["GET /a/{id}"]}\n'),
    "an empty mapping": (TABLE + "transactions: {}\n", TABLE + 'transactions: {"names": ["GET /a/{id}"]}\n'),
    "a mapping in braces": (
        TABLE + "transactions: {limit: 5}\n",
        TABLE + 'transactions: {"names": ["GET /a/{id}"], limit: 5}\n',
    ),
    "it is there": (TABLE + 'transactions: {names: ["GET /a/{id}"]}\n',) * 2,
}


@pytest.mark.parametrize(("before", "after"), EDITS.values(), ids=EDITS)
def test_a_name_is_added_and_all_else_stays(before: str, after: str) -> None:
    assert add_transaction_names(before, ["GET /a/{id}"]) == after
    assert "GET /a/{id}" in names(after)


def test_a_table_in_json_stays_one() -> None:
    table = (
        '{"version": 1, "listeners": [{"port": 80, "default": {"forward": "m"}}], '
        '"target_groups": {"m": {"targets": ["http://a:1"]}}}'
    )
    assert names(add_transaction_names(table, ["GET /a"])) == ["GET /a"]


def test_an_alias_is_not_edited() -> None:
    table = "x: &x {names: [/a]}\ntransactions: *x\n"
    with pytest.raises(EditError, match="alias"):
        add_transaction_names(table, ["/b"])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.from_regex(r"GET /[a-z#'\"\\:,&*!|>%@`\[\]-]{1,8}/\{[a-z]{1,5}\}", fullmatch=True), min_size=1, max_size=4
    )
)
def test_whatever_the_names_are_they_are_read_back(added: list[str]) -> None:
    added = [name for name in added if "#" not in name and "*" not in name]
    for text, _ in EDITS.values():
        read = names(add_transaction_names(text, added)) if added else []
        assert set(added) <= set(read)

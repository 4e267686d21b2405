"""`transactions`: how requests get their names. The load balancer has no word for it, so an export leaves it out."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from proxy.config.certificates import CertificateError, TableFiles
from proxy.config.model import Config, OpenapiFile, TransactionPattern, TransactionsConfig
from proxy.config.problem import Place, Problem, Report
from proxy.config.records import Field, Fields, ListOf, Record
from proxy.config.shapes import Fault, Integer, Text
from proxy.config.transaction_patterns import MAX_OPENAPI_BYTES, PatternError, parse_pattern, read_openapi

MAX_NAMES: Final = 2000
_HEADER: Final = re.compile(r"[A-Za-z0-9-]+")
_FRAMING: Final = frozenset(
    ("connection", "content-length", "content-type", "date", "location", "set-cookie", "transfer-encoding", "upgrade")
)


def _pattern(text: str, place: Place, report: Report) -> TransactionPattern | None:
    try:
        return parse_pattern(text)
    except PatternError as error:
        report.error("bad-transaction", place, str(error))
        return None


def _header_fault(text: str) -> Fault | None:
    if not _HEADER.fullmatch(text) or text.lower() in _FRAMING:
        return Fault("invalid-value", "is no header that only tells the gateway a name, such as X-Transaction-Name")
    return None


NAMES = Field(
    "names",
    ListOf(Text("a method and a path", longest=512).then(_pattern), "a list of names such as GET /orders/{id}"),
    "Given names, before all that is learned: `GET /orders/{id}`; without a method for any; a last `*` for the rest.",
)
OPENAPI = Field(
    "openapi",
    ListOf(
        Text("a file name", longest=1024).then(lambda text, place, _: OpenapiFile(text, place=place)),
        "a list of OpenAPI files",
    ),
    "OpenAPI documents (YAML or JSON) whose operations are given names; relative to this file.",
)
HINT_HEADER = Field(
    "hint_header",
    Text("a header name", longest=64, checks=(_header_fault,)),
    "Response header in which a target names the request; clients do not get it. Off by default.",
)
DISTINCT_CLIENTS = Field(
    "distinct_clients",
    Integer(1, 16, "clients"),
    "How many must have used a word of a path before it may be part of a name.",
    default=3,
)
LIMIT = Field("limit", Integer(1, MAX_NAMES, "names"), "Most learned names; the rest is `{other}`.", default=MAX_NAMES)
OBJECTIVE = Field(
    "objective_milliseconds",
    Integer(1, 600_000, "milliseconds"),
    "The latency that a request should not exceed; what is beyond is its tail pain.",
    default=1000,
)


def _transactions(fields: Fields) -> TransactionsConfig:
    return TransactionsConfig(
        patterns=fields.get(NAMES, ()),
        openapi=fields.get(OPENAPI, ()),
        hint_header=fields.get(HINT_HEADER, "").lower(),
        distinct_clients=fields.get(DISTINCT_CLIENTS, 3),
        limit=fields.get(LIMIT, MAX_NAMES),
        objective_seconds=fields.get(OBJECTIVE, 1000) / 1000,
    )


TRANSACTIONS: Record[TransactionsConfig] = Record(
    "transactions", (NAMES, OPENAPI, HINT_HEADER, DISTINCT_CLIENTS, LIMIT, OBJECTIVE), _transactions
)


def with_openapi(config: Config, files: TableFiles) -> tuple[Config, list[Problem]]:
    """The table with what its OpenAPI documents say, their paths resolved; and what is wrong with them."""
    problems: list[Problem] = []
    documents = []
    for document in config.transactions.openapi:
        try:
            patterns = read_openapi(files.read(document.file, MAX_OPENAPI_BYTES))
        except CertificateError as error:
            problems.append(Problem("error", error.code, document.place, str(error)))
        except PatternError as error:
            problems.append(Problem("error", "bad-openapi", document.place, f"{document.file}: {error}"))
        else:
            path = str(files.directory / document.file)
            documents.append(replace(document, file=path, patterns=tuple(patterns)))
    return replace(config, transactions=replace(config.transactions, openapi=tuple(documents))), problems

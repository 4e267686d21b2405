"""Desync classification: may another server read this request head differently (alb.md 6.8)?

`classify` looks at raw bytes, since what is taken apart has lost what matters: line ends, blanks, lookalike names. It
is the slow path. A head that the strict expression of `proxy.http1.head` matches and that has no framing header is
Compliant, so it never comes here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from proxy.http1.head import CONTENT_LENGTH, RequestHead


class Severity(IntEnum):
    """The four classes; the worst that applies to anything in a request is the request's."""

    COMPLIANT = 0
    ACCEPTABLE = 1
    AMBIGUOUS = 2
    SEVERE = 3

    @property
    def label(self) -> str:
        """As the access log has it."""
        return self.name.capitalize()


REASONS: Final[dict[str, Severity]] = {
    "NonCompliantHeader": Severity.ACCEPTABLE,
    "SpaceInUri": Severity.ACCEPTABLE,
    "NonCompliantVersion": Severity.ACCEPTABLE,
    "GetHeadZeroContentLength": Severity.ACCEPTABLE,
    "NonCrLfLineTermination": Severity.ACCEPTABLE,
    "EmptyHeader": Severity.AMBIGUOUS,
    "AmbiguousUri": Severity.AMBIGUOUS,
    "UndefinedContentLengthSemantics": Severity.AMBIGUOUS,
    "UndefinedTransferEncodingSemantics": Severity.AMBIGUOUS,
    "DuplicateContentLength": Severity.AMBIGUOUS,
    "BothTeClPresent": Severity.AMBIGUOUS,
    "SuspiciousHeader": Severity.AMBIGUOUS,
    "MultilineHeader": Severity.AMBIGUOUS,
    "MissingHeaderColon": Severity.AMBIGUOUS,
    "PartialHeaderLine": Severity.AMBIGUOUS,
    "MissingLastEmptyLine": Severity.AMBIGUOUS,
    "MissingUri": Severity.AMBIGUOUS,
    "BadHeader": Severity.SEVERE,
    "BadUri": Severity.SEVERE,
    "BadMethod": Severity.SEVERE,
    "BadVersion": Severity.SEVERE,
    "BadContentLength": Severity.SEVERE,
    "MultipleContentLength": Severity.SEVERE,
    "BadTransferEncoding": Severity.SEVERE,
    "MultipleTransferEncodingChunked": Severity.SEVERE,
}
"""Both lists of alb.md 6.8: reason to class."""

_KNOWN_CODINGS: Final = frozenset({b"chunked", b"identity", b"gzip", b"deflate", b"compress"})
_NEVER_FROM_A_FOLD: Final = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"upgrade",
        b"te",
        b"trailer",
        b"expect",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-port",
        b"x-amzn-trace-id",
    }
)
"""Names that route, frame or come from the gateway: a folded line must not become one of them."""

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
_VALID_NAME: Final = re.compile(rb"[-A-Za-z0-9]++")
_LINE_BREAKERS: Final = re.compile(rb"[\x00\r\n]")
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_UNPRINTABLE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f-\xff]")
_IN_URI: Final = re.compile(rb"[\x00-\x20\x7f]")
_VERSION: Final = re.compile(rb"HTTP/1\.\d|HTTP/0\.9")
_NOT_LETTERS: Final = re.compile(rb"[^a-z]++")
_LONG_S: Final = "ſ".encode()
_FRAMING_LETTERS: Final = frozenset({b"transferencoding", b"contentlength"})


@dataclass(frozen=True, slots=True)
class Classification:
    """What `classify` found.

    Attributes:
        severity: The class.
        reason: The first reason of that class, empty for Compliant.
        request: The request in the form in which it may be passed on; None when no such form exists.
    """

    severity: Severity
    reason: str
    request: RequestHead | None


COMPLIANT: Final = Classification(Severity.COMPLIANT, "", None)


class _Findings:
    """The reasons found so far, of which the worst counts."""

    __slots__ = ("reason", "severity")

    def __init__(self) -> None:
        self.severity = Severity.COMPLIANT
        self.reason = ""

    def add(self, reason: str) -> None:
        severity = REASONS[reason]
        if severity > self.severity:
            self.severity = severity
            self.reason = reason


def classify(head: bytes) -> Classification:
    """Classify one request head as received, its empty line included; what follows that is not looked at.

    Never raises, and takes time linear in the head's length. The form in which a request may be passed on leaves no
    reader a choice: lines end with CR LF, names are tokens, blanks and control bytes of the target are
    percent-encoded, control bytes of values are blanks, a folded line is a header of its own (alb.md 6.4).
    """
    found = _Findings()
    lines = _split_lines(head, found)
    method, target, minor = _request_line(lines[0], found)
    headers = _Headers(found)
    for line in lines[1:]:
        headers.add(line)
    _framing(method, minor, headers, found)
    request = None
    if found.severity < Severity.SEVERE and target:
        block = b"".join([b"%s: %s\r\n" % field for field in headers.kept])
        request = RequestHead.of(method, _encoded(target), max(minor, 0), block)
    if request is not None and found.reason in ("MissingLastEmptyLine", "PartialHeaderLine"):
        request = None
    return Classification(found.severity, found.reason, request)


def is_valid_name(name: bytes) -> bool:
    """Whether a header name has letters, digits and hyphens only (alb.md 6.4)."""
    return _VALID_NAME.fullmatch(name) is not None


def lf_head_end(data: bytes) -> int:
    """Where a head ends whose lines end with LF alone; 0 if this is no such head or its end has not come."""
    first = data.find(b"\n")
    if first < 1 or data[first - 1] == 13:
        return 0
    return data.find(b"\n\n", first) + 2 if b"\n\n" in data else 0


def _split_lines(head: bytes, found: _Findings) -> list[bytes]:
    """The lines up to the empty one. How the first line ends says how all must: another end is a byte in a line."""
    first = head.find(b"\n")
    end = b"\r\n"
    if first >= 0 and (first == 0 or head[first - 1] != 13):
        end = b"\n"
        found.add("NonCrLfLineTermination")
    lines = head.split(end)
    try:
        return lines[: max(lines.index(b""), 1)] if lines.index(b"") < len(lines) - 1 else _unfinished(lines, found)
    except ValueError:
        found.add("PartialHeaderLine")
        return lines


def _unfinished(lines: list[bytes], found: _Findings) -> list[bytes]:
    found.add("MissingLastEmptyLine")
    return lines[:-1] or [b""]


def _request_line(line: bytes, found: _Findings) -> tuple[bytes, bytes, int]:
    """Method, target and minor version; -1 stands for HTTP/0.9. The target is empty when there is none."""
    method, _, rest = line.partition(b" ")
    if _TOKEN.fullmatch(method) is None:
        found.add("BadMethod")
    stripped = rest.rstrip(b" \t")
    if stripped != rest:
        found.add("NonCompliantVersion")
    target, _, version = stripped.rpartition(b" ")
    if not target.strip(b" "):
        found.add("MissingUri")
    if _VERSION.fullmatch(version) is None:
        found.add("BadVersion")
    elif version not in (b"HTTP/1.1", b"HTTP/1.0"):
        found.add("NonCompliantVersion")
    uri = target.strip(b" ")
    if target.endswith(b" "):
        found.add("NonCompliantVersion")
    if b" " in uri or target.startswith(b" "):
        found.add("SpaceInUri")
    if _LINE_BREAKERS.search(uri) is not None:
        found.add("BadUri")
    elif _CONTROLS.search(uri) is not None or b"\t" in uri:
        found.add("AmbiguousUri")
    minor = -1 if version == b"HTTP/0.9" else 0 if version == b"HTTP/1.0" else 1
    return method, uri, minor


def _encoded(target: bytes) -> bytes:
    return _IN_URI.sub(lambda match: b"%%%02X" % match[0][0], target)


class _Headers:
    """The header lines, judged one by one.

    Attributes:
        kept: What may be passed on, name and value.
        lengths: The values of Content-Length, with those of a name that differs from it by white space only.
        codings: The values of Transfer-Encoding.
        length_lines: How many Content-Length lines there are under that very name.
    """

    __slots__ = ("_found", "codings", "kept", "length_lines", "lengths")

    def __init__(self, found: _Findings) -> None:
        self._found = found
        self.kept: list[tuple[bytes, bytes]] = []
        self.lengths: list[bytes] = []
        self.codings: list[bytes] = []
        self.length_lines = 0

    def add(self, line: bytes) -> None:
        found = self._found
        if _LINE_BREAKERS.search(line) is not None:
            found.add("BadHeader")
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if line[:1] in (b" ", b"\t"):
            found.add("MultilineHeader")
            if not colon:
                self._add_fold(line.strip(b" \t"))
                return
        elif not colon:
            found.add("MissingHeaderColon")
            return
        if not name.strip(b" \t"):
            found.add("EmptyHeader")
        elif _TOKEN.fullmatch(name) is None:
            self._judge_bad_name(name, value)
        else:
            self._add_named(name, value)

    def _add_named(self, name: bytes, value: bytes) -> None:
        found = self._found
        lower = name.lower()
        if lower == b"content-length":
            self.lengths.append(value)
            self.length_lines += 1
        elif lower == b"transfer-encoding":
            self.codings.append(value)
        elif _letters(lower) in _FRAMING_LETTERS:
            found.add("SuspiciousHeader")
        if _UNPRINTABLE.search(value) is not None:
            found.add("NonCompliantHeader")
            value = _CONTROLS.sub(b" ", value).strip(b" \t")
        self.kept.append((name, value))

    def _judge_bad_name(self, name: bytes, value: bytes) -> None:
        """A name that is no token is never passed on: whatever it is, servers disagree on it."""
        lower = name.lower()
        if _letters(lower) in _FRAMING_LETTERS:
            self._found.add("SuspiciousHeader")
            if lower.strip(b" \t") == b"content-length":
                self.lengths.append(value)
        else:
            self._found.add("NonCompliantHeader")

    def _add_fold(self, text: bytes) -> None:
        """A folded line gets its colon (alb.md 6.4), where that makes a header that means nothing to the way on."""
        lower = text.lower()
        if _TOKEN.fullmatch(text) is not None and lower not in _NEVER_FROM_A_FOLD:
            self.kept.append((text, b""))
            if _letters(lower) in _FRAMING_LETTERS:
                self._found.add("SuspiciousHeader")


def _letters(lower: bytes) -> bytes:
    return _NOT_LETTERS.sub(b"", lower.replace(_LONG_S, b"s"))


def _framing(method: bytes, minor: int, headers: _Headers, found: _Findings) -> None:
    lengths, codings = headers.lengths, headers.codings
    if any(CONTENT_LENGTH.fullmatch(value) is None for value in lengths):
        found.add("BadContentLength")
    if len(set(lengths)) > 1:
        found.add("MultipleContentLength")
    items = [item.strip(b" \t").lower() for value in codings for item in value.split(b",")]
    if any(item not in _KNOWN_CODINGS for item in items):
        found.add("BadTransferEncoding")
    if items.count(b"chunked") > 1:
        found.add("MultipleTransferEncodingChunked")
    if codings and lengths:
        found.add("BothTeClPresent")
    if headers.length_lines > 1:
        found.add("DuplicateContentLength")
    to_get = method in (b"GET", b"HEAD")
    if codings and (to_get or minor < 1):
        found.add("UndefinedTransferEncodingSemantics")
    if headers.length_lines and (to_get or minor < 0):
        is_zero = minor >= 0 and not lengths[0].strip(b"0")
        found.add("GetHeadZeroContentLength" if is_zero else "UndefinedContentLengthSemantics")

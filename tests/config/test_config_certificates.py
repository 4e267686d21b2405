"""Certificate files: what is read out of them, and what is said when they cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certificates import Authority

from proxy.config import certificates
from proxy.config.certificates import TableFiles
from proxy.config.load import load_with_warnings
from proxy.config.model import Config
from proxy.config.problem import ConfigError, Problem

TABLE = """\
version: 1
listeners:
  - port: 8443
    protocol: HTTPS
    certificates:
      - certificate_file: a.pem
        private_key_file: a.key
    MORE
    default: {fixed-response: {status_code: 200}}
target_groups: {none: {targets: [http://a:1]}}
"""
CERTIFICATE = "listeners[0].certificates[0].certificate_file"
KEY = "listeners[0].certificates[0].private_key_file"


def judged(folder: Path, more: str = "ssl_policy: ELBSecurityPolicy-2016-08") -> tuple[Config | None, list[Problem]]:
    """What is loaded, and every problem but the unused target group."""
    try:
        config, problems = load_with_warnings(TABLE.replace("MORE", more), {}, files=TableFiles(folder))
    except ConfigError as error:
        return None, [problem for problem in error.problems if problem.code != "unused-target-group"]
    return config, [problem for problem in problems if problem.code != "unused-target-group"]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_what_is_read(authority: Authority, kind: str) -> None:
    authority.issue("a", "A.example.com", "*.b.example.com", kind=kind)  # type: ignore[arg-type]

    config, problems = judged(authority.folder)

    assert problems == []
    assert config is not None
    facts = config.listeners[0].certificates[0].facts
    assert facts is not None
    assert facts.names == ("a.example.com", "*.b.example.com")
    assert (facts.key_algorithm, facts.key_bits) == (kind, 256 if kind == "ECDSA" else 2048)
    assert not facts.is_signed_with_md5
    assert facts.not_after - facts.not_before == timedelta(days=30)


def test_without_alternative_names_the_common_name_counts(authority: Authority) -> None:
    authority.issue("a", common_name="Old.example.com")

    config, _ = judged(authority.folder)

    assert config is not None
    facts = config.listeners[0].certificates[0].facts
    assert facts is not None
    assert facts.names == ("old.example.com",)


def test_a_renewed_file_makes_another_table(authority: Authority) -> None:
    """That is what a reload compares."""
    authority.issue("a", "a.example.com")
    before, _ = judged(authority.folder)
    again, _ = judged(authority.folder)
    authority.issue("a", "a.example.com")
    after, _ = judged(authority.folder)

    assert before == again
    assert before != after


def missing(authority: Authority) -> None:
    (authority.folder / "a.pem").unlink()


def missing_key(authority: Authority) -> None:
    (authority.folder / "a.key").unlink()


def no_pem(authority: Authority) -> None:
    (authority.folder / "a.pem").write_bytes(b"\x30\x82\x00")


def swapped(authority: Authority) -> None:
    one, other = authority.folder / "a.pem", authority.folder / "a.key"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def no_key(authority: Authority) -> None:
    (authority.folder / "a.key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def encrypted(authority: Authority) -> None:
    authority.issue("a", "a.example.com", passphrase="hunter2")


def another_key(authority: Authority) -> None:
    authority.issue("b", "b.example.com")
    (authority.folder / "a.key").write_bytes((authority.folder / "b.key").read_bytes())


def chain_upside_down(authority: Authority) -> None:
    leaf = (authority.folder / "a.pem").read_bytes()
    (authority.folder / "a.pem").write_bytes(authority.file.read_bytes() + leaf)


def too_long(authority: Authority) -> None:
    (authority.folder / "a.pem").write_bytes(b"#" * (certificates.MAX_FILE_BYTES + 1))


@pytest.mark.parametrize(
    ("spoil", "path", "code", "remedy"),
    [
        pytest.param(missing, CERTIFICATE, "unreadable", "No such file", id="no certificate file"),
        pytest.param(missing_key, KEY, "unreadable", "No such file", id="no key file"),
        pytest.param(no_pem, CERTIFICATE, "bad-certificate", "-----BEGIN CERTIFICATE-----", id="DER"),
        pytest.param(swapped, CERTIFICATE, "bad-certificate", "-----BEGIN CERTIFICATE-----", id="files swapped"),
        pytest.param(no_key, KEY, "bad-private-key", "-----BEGIN PRIVATE KEY-----", id="a broken key"),
        pytest.param(encrypted, KEY, "encrypted-key", "openssl pkey -in a.key", id="an encrypted key"),
        pytest.param(another_key, KEY, "key-mismatch", "the two files of one pair", id="another certificate's key"),
        pytest.param(chain_upside_down, KEY, "key-mismatch", "must be the server's own", id="the authority first"),
        pytest.param(too_long, CERTIFICATE, "too-large", "no such file is", id="a file far too long"),
    ],
)
def test_files_that_cannot_be_used(
    authority: Authority, spoil: Callable[[Authority], None], path: str, code: str, remedy: str
) -> None:
    authority.issue("a", "a.example.com")
    spoil(authority)

    config, problems = judged(authority.folder)

    assert config is None
    (problem,) = problems
    assert (problem.severity, problem.code, problem.place.path) == ("error", code, path)
    assert problem.place.line == (6 if path == CERTIFICATE else 7)
    assert remedy in problem.message
    assert "hunter2" not in problem.message


@pytest.mark.parametrize(
    ("begins_in_days", "says"),
    [
        pytest.param(-31, "has expired on", id="expired"),
        pytest.param(1, "begins on", id="not valid yet"),
    ],
)
def test_a_certificate_out_of_its_time_is_a_warning(authority: Authority, begins_in_days: int, says: str) -> None:
    authority.issue("a", "a.example.com", begins=datetime.now(UTC) + timedelta(days=begins_in_days))

    config, problems = judged(authority.folder)

    assert config is not None
    (problem,) = problems
    assert (problem.severity, problem.code, problem.place.path) == ("warning", "certificate-not-valid", CERTIFICATE)
    assert says in problem.message


@pytest.mark.parametrize(
    ("more", "path", "code"),
    [
        pytest.param(
            "ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-6", "listeners[0].ssl_policy", "unknown-value", id="a policy"
        ),
        pytest.param(
            "mutual_authentication: {mode: verify}", "listeners[0].mutual_authentication", "missing-key", id="no store"
        ),
        pytest.param(
            "mutual_authentication: {mode: verify, trust_store_file: none.pem}",
            "listeners[0].mutual_authentication.trust_store_file",
            "unreadable",
            id="a store that is not there",
        ),
        pytest.param(
            "mutual_authentication: {mode: verify, trust_store_file: a.key}",
            "listeners[0].mutual_authentication.trust_store_file",
            "bad-certificate",
            id="a store of no certificates",
        ),
        pytest.param(
            "mutual_authentication: {mode: passthrough, trust_store_file: a.pem}",
            "listeners[0].mutual_authentication.trust_store_file",
            "conflicting-keys",
            id="a store that nothing is compared with",
        ),
    ],
)
def test_what_else_is_refused(authority: Authority, more: str, path: str, code: str) -> None:
    authority.issue("a", "a.example.com")

    _, problems = judged(authority.folder, more)

    assert [(problem.place.path, problem.code) for problem in problems] == [(path, code)]


def test_the_files_that_were_asked_for_are_known_also_when_they_are_bad(tmp_path: Path) -> None:
    """So that mending one of them is noticed."""
    files = TableFiles(tmp_path)

    with pytest.raises(ConfigError):
        load_with_warnings(TABLE.replace("MORE", "ssl_policy: ELBSecurityPolicy-2016-08"), {}, files=files)

    assert files.asked == [tmp_path / "a.pem"]

"""`strangler demo` has an HTTPS listener: its table, its certificate, and both seen by a client while it runs."""

from __future__ import annotations

import signal
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import httpx
from cryptography import x509
from live_gateway import wait_until
from served import REPOSITORY, free_port

from proxy.cli.demo_https import CERTIFICATE_FILE, KEY_FILE, with_https, write_certificate
from proxy.config.certificates import TableFiles
from proxy.config.load import load
from proxy.config.model import ForwardConfig, RedirectConfig

TABLE = (REPOSITORY / "routes.yaml").read_text()
URLS = {f"{name}_URL": "http://127.0.0.1:1" for name in ("MONOLITH", "USERS", "RECOMMENDATIONS")}


def test_the_table_is_that_of_the_repository_and_https(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    before = load(TABLE, URLS, "routes.yaml")

    after = load(with_https(TABLE, 8443), URLS, "routes.yaml", TableFiles(tmp_path))

    web, secure = after.listeners
    assert [rule for rule in web.rules if rule.name != "to-https"] == list(before.listeners[0].rules)
    assert (web.port, web.default) == (before.listeners[0].port, before.listeners[0].default)
    assert after.target_groups == before.target_groups
    redirect = next(rule.action for rule in web.rules if rule.name == "to-https")
    assert isinstance(redirect, RedirectConfig)
    assert (redirect.protocol, redirect.port, redirect.status_code) == ("HTTPS", "8443", 301)
    assert (secure.port, secure.protocol, secure.default) == (8443, "HTTPS", ForwardConfig((("monolith", 1),)))


def test_the_certificate_is_new_each_time_and_its_key_is_for_the_owner_alone(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    first = (tmp_path / CERTIFICATE_FILE).read_bytes()
    write_certificate(tmp_path)

    certificate = x509.load_pem_x509_certificate((tmp_path / CERTIFICATE_FILE).read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "secure.localhost"]
    assert first != (tmp_path / CERTIFICATE_FILE).read_bytes()
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_the_demo_answers_over_https_and_says_where(tmp_path: Path) -> None:
    port, https_port, admin_port = free_port(), free_port(), free_port()
    folder, log = tmp_path / "demo", tmp_path / "log"
    command = [sys.executable, "-m", "proxy", "demo", "--seconds", "30", "--folder", str(folder)]
    command += ["--port", str(port), "--https-port", str(https_port), "--admin-port", str(admin_port)]
    with log.open("wb") as output:
        demo = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=output)

    def is_there() -> bool:
        assert demo.poll() is None, log.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{admin_port}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(is_there, log.read_text, patience=90)
        trust = ssl.create_default_context(cafile=str(folder / CERTIFICATE_FILE))
        with httpx.Client(verify=trust, trust_env=False, timeout=30) as client:
            headers = {"Host": f"secure.localhost:{port}"}
            redirect = client.get(f"http://127.0.0.1:{port}/api/users?page=1", headers=headers)
            answer = client.get(f"https://localhost:{https_port}/health")
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(60)

    assert redirect.status_code == 301
    assert redirect.headers["location"] == f"https://secure.localhost:{https_port}/api/users?page=1"
    assert answer.status_code == 200

"""What alb.md says of TLS, in 1.1, 6 and 9: rows for the listeners of one table."""

# ruff: noqa: E501 - one row a line, and YAML is full of braces

from tests.conformance.rows import Row, Secured, has, logs

CERTIFICATES: dict[str, dict[str, object]] = {
    "default": {"names": ("default.example.com",)},
    "a": {"names": ("a.example.com",)},
    "a-rsa": {"names": ("rsa.example.org", "a.example.com"), "kind": "RSA"},
    "wild": {"names": ("*.example.com",)},
    "small": {"names": ("small.example.org", "key.example.org"), "kind": "RSA"},
    "large": {"names": ("large.example.org", "key.example.org"), "kind": "RSA", "bits": 3072},
    "short": {"names": ("short.example.org", "life.example.org"), "days": 10},
    "long": {"names": ("long.example.org", "life.example.org"), "days": 60},
}
"""The first is the default certificate."""

_ALL = ", ".join(f"{{certificate_file: {name}.pem, private_key_file: {name}.key}}" for name in CERTIFICATES)
_ONE = "{certificate_file: a.pem, private_key_file: a.key}"

LISTENERS = {
    "web": f"ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06, certificates: [{_ALL}], default: {{forward: targets}}",
    "only13": f"ssl_policy: ELBSecurityPolicy-TLS13-1-3-2021-06, certificates: [{_ONE}], default: {{forward: targets}}",
    "only12": f"ssl_policy: ELBSecurityPolicy-TLS-1-2-2017-01, certificates: [{_ONE}], default: {{forward: targets}}",
    "mutual": f"mutual_authentication: {{mode: verify, trust_store_file: Test-CA.pem}}, certificates: [{_ONE}], default: {{forward: targets}}",
    "passed": f"mutual_authentication: {{mode: passthrough}}, certificates: [{_ONE}], default: {{forward: targets}}",
    "renamed": f"certificates: [{_ONE}], default: {{forward: targets}}, attributes: {{routing.http.request.x_amzn_tls_version.header_name: X-Version}}",
    "moved": f"certificates: [{_ONE}], default: {{redirect: {{host: new.example.com, path: '/#{{path}}', status_code: HTTP_301}}}}",
    "sticky": f"certificates: [{_ONE}], default: {{forward: sticky}}",
    "groups": f"certificates: [{_ONE}], default: {{forward: {{targets: 1, empty: 0}}, stickiness: {{duration_seconds: 60}}}}",
    "secure": f"certificates: [{_ONE}], default: {{forward: targets}}, attributes: {{routing.http.response.strict_transport_security.header_value: max-age=60}}",
}
"""By name: what a listener has besides its name, port and protocol HTTPS."""

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")


def _presents(id: str, server_name: str | None, presented: str, **options: str) -> Secured:
    return Secured(id, "1.1", server_name=server_name, presented=presented, **options)  # type: ignore[arg-type]


ROWS: list[Row] = [
    _presents("SNI: a single match wins", "a-b.example.com", "*.example.com"),
    _presents("SNI: the case does not count", "KEY.example.ORG", "large.example.org"),
    _presents("SNI: ECDSA before RSA", "a.example.com", "a.example.com"),
    _presents("SNI: RSA for a client without ECDSA", "a.example.com", "rsa.example.org", version="TLSv1_2", ciphers="aRSA"),
    _presents("SNI: then the longest key", "key.example.org", "large.example.org"),
    _presents("SNI: then the validity", "life.example.org", "long.example.org"),
    _presents("SNI: a wildcard is one label", "b.a.example.com", "default.example.com"),
    _presents("no match: the default certificate", "nobody.test", "default.example.com"),
    _presents("no SNI: the default certificate", None, "default.example.com"),
    Secured("HTTP/2 by ALPN", "1.1", offers=("h2", "http/1.1"), chosen="h2", log=logs(type="h2", request_proto=r"HTTP/2\.0")),
    Secured("HTTP/1.1 by ALPN", "1.1", offers=("http/1.1",), chosen="http/1.1", log=logs(type="https", request_proto=r"HTTP/1\.1")),
    Secured("HTTP/1.1 without ALPN", "1.1", chosen=None),
    Secured("a policy of TLS 1.3 takes no TLS 1.2", "1.1", "only13", version="TLSv1_2", status=0),
    Secured("a policy of TLS 1.3 takes TLS 1.3", "1.1", "only13", version="TLSv1_3"),
    Secured("a policy of TLS 1.2 takes TLS 1.2 alone", "1.1", "only12", version="TLSv1_3", status=0),
    Secured("HTTPS to HTTPS", "3.2", "moved", status=301, answers=has(location=b"https://new.example.com:PORT/")),
    Secured("the twin of AWSALBTG is Secure on HTTPS", "3.1", "groups", answers=has(set_cookie=(rb"re:AWSALBTG=[^;]+; Expires=[^;]+; Path=/", rb"re:AWSALBTGCORS=[^;]+; Expires=[^;]+; Path=/; SameSite=None; Secure"))),
    Secured("the twin of AWSALB is Secure on HTTPS", "5.5", "sticky", answers=has(set_cookie=(rb"re:AWSALB=[^;]+; Expires=[^;]+; Path=/", rb"re:AWSALBCORS=[^;]+; Expires=[^;]+; Path=/; SameSite=None; Secure"))),
    Secured("X-Forwarded-Proto and -Port on HTTPS", "6.1", gets=has(x_forwarded_proto=b"https", x_forwarded_port=b"PORT")),
    Secured("X-Forwarded-Proto over HTTP/2", "6.1", offers=("h2",), chosen="h2", gets=has(x_forwarded_proto=b"https", x_forwarded_port=b"PORT")),
    Secured("version and cipher suite, TLS 1.2", "6.4", version="TLSv1_2", gets=has(x_amzn_tls_version=b"TLSv1.2", x_amzn_tls_cipher_suite=b"re:ECDHE-ECDSA-.*")),
    Secured("version and cipher suite, TLS 1.3", "6.4", version="TLSv1_3", gets=has(x_amzn_tls_version=b"TLSv1.3", x_amzn_tls_cipher_suite=b"re:TLS_.*")),
    Secured("version and cipher suite are the gateway's", "6.4", lines=("X-Amzn-Tls-Version: SSLv2",), gets=has(x_amzn_tls_version=b"re:TLSv1.[23]")),
    Secured("HSTS", "6.4", "secure", answers=has(strict_transport_security=b"max-age=60")),
    Secured("mTLS off: a client certificate is not asked for", "6.4", certificate="client", gets=has(x_amzn_mtls_clientcert_subject=None)),
    Secured("mTLS verify: the client's certificate in headers", "6.4", "mutual", certificate="client", gets=has(
        x_amzn_mtls_clientcert_serial_number=rb"re:[0-9A-F]+", x_amzn_mtls_clientcert_issuer=rb"re:.*CN=Test CA.*", x_amzn_mtls_clientcert_subject=b"CN=client.example.com",
        x_amzn_mtls_clientcert_validity=rb"re:NotBefore=[0-9TZ:-]+;NotAfter=[0-9TZ:-]+", x_amzn_mtls_clientcert_leaf=rb"re:-----BEGIN%20CERTIFICATE-----.*",
    )),
    Secured("mTLS verify: the headers are the gateway's", "6.4", "mutual", ("X-Amzn-Mtls-Clientcert-Subject: CN=root",), certificate="client", gets=has(x_amzn_mtls_clientcert_subject=b"CN=client.example.com")),
    Secured("mTLS verify: no certificate, no connection", "6.4", "mutual", status=0),
    Secured("mTLS verify: a certificate of another authority", "6.4", "mutual", certificate="stranger", status=0),
    Secured("a WebSocket over TLS", "6.7", lines=UPGRADE, status=101, log=logs(type="wss", elb_status_code="101")),
    Secured("1 type: https", "9.1", log=logs(type="https", request_url="https://a.example.com:[0-9]+/")),
    Secured("15 and 16 TLS: cipher and version", "9.1", version="TLSv1_2", log=logs(ssl_cipher="ECDHE-ECDSA-[A-Z0-9-]+", ssl_protocol=r"TLSv1\.2")),
    Secured("19 and 20 domain and certificate: those chosen", "9.1", log=logs(domain_name="a.example.com", chosen_cert_arn="arn:.*certificate/.*")),
    Secured("19 domain: - with the default certificate", "9.1", server_name=None, log=logs(domain_name="-")),
    Secured("one line a connection", "9.2", version="TLSv1_3", connection_log=logs(
        time=r"[0-9-]+T[0-9:]+\.[0-9]{6}Z", client_ip=r"127\.0\.0\.1", client_port="[0-9]+", listener_port="PORT", tls_protocol=r"TLSv1\.3", tls_cipher="TLS_.*",
        tls_handshake_latency=r"[0-9]+\.[0-9]{3}", leaf_client_cert_subject="-", leaf_client_cert_validity="-", leaf_client_cert_serial_number="-", tls_verify_status="Success", conn_trace_id="TID_[0-9a-f]{32}",
    )),
    Secured("the client's certificate in the line", "9.2", "mutual", certificate="client", connection_log=logs(
        leaf_client_cert_subject="CN=client.example.com", leaf_client_cert_validity="NotBefore=.*;NotAfter=.*", leaf_client_cert_serial_number="[0-9A-F]+", tls_verify_status="Success",
    )),
    Secured("20 certificate: session-reused on resumption", "9.1", version="TLSv1_2", resumes=True, log=logs(chosen_cert_arn="session-reused")),
    Secured("mTLS passthrough: the client's certificate in a header, whoever signed it", "6.4", "passed", certificate="stranger", gets=has(x_amzn_mtls_clientcert=rb"re:-----BEGIN%20CERTIFICATE-----.*")),
    Secured("mTLS passthrough: a client without a certificate", "6.4", "passed", gets=has(x_amzn_mtls_clientcert=None)),
    Secured("another name for a header", "6.4", "renamed", gets=has(x_version=rb"re:TLSv1\.[23]", x_amzn_tls_version=None)),
]  # fmt: skip

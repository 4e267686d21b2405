"""What a table may say of authentication (alb.md 3.4, 3.5)."""

from __future__ import annotations

import pytest

from proxy.config.load import load, load_with_warnings
from proxy.config.model import JwtClaimConfig, JwtValidationConfig, LoginConfig
from proxy.config.problem import ConfigError

ENVIRONMENT = {"SECRET": "hunter2"}
OIDC = """issuer: https://a.com, authorization_endpoint: https://a.com/a, token_endpoint: https://a.com/t,
  user_info_endpoint: https://a.com/u, client_id: web, client_secret: "${SECRET}\""""
COGNITO = """user_pool_arn: "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Ab",
  user_pool_client_id: web, user_pool_domain: shop, local: {client_secret: "${SECRET}"}"""
JWT = "issuer: https://a.com, jwks_endpoint: https://a.com/keys"


def table(action: str, *, protocol: str = "HTTPS", default: str = "") -> str:
    tls = "certificates: [{certificate_file: a.pem, private_key_file: a.key}]," if protocol == "HTTPS" else ""
    return f"""
version: 1
listeners: [{{port: 443, protocol: {protocol}, {tls} default: {{forward: m{default}}}, rules: [
  {{priority: 1, conditions: [{{path-pattern: /a}}], forward: m, {action}}}]}}]
target_groups: {{m: {{targets: [http://a:1]}}}}
"""


def action_in(action: str) -> object:
    return load(table(action), ENVIRONMENT).listeners[0].rules[0].authentication


def test_oidc_with_its_defaults() -> None:
    expected = LoginConfig(
        "authenticate-oidc", "https://a.com", "https://a.com/a", "https://a.com/t", "https://a.com/u", "web", "hunter2"
    )
    assert action_in(f"authenticate-oidc: {{{OIDC}}}") == expected
    assert "hunter2" not in repr(expected)


def test_cognito_derives_its_endpoints() -> None:
    found = action_in(f"authenticate-cognito: {{{COGNITO}, scope: openid email, session_timeout: 60}}")
    assert isinstance(found, LoginConfig)
    assert found.issuer == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab"
    assert found.authorization_endpoint == "https://shop.auth.eu-west-1.amazoncognito.com/oauth2/authorize"
    assert found.token_endpoint == "https://shop.auth.eu-west-1.amazoncognito.com/oauth2/token"
    assert found.user_info_endpoint == "https://shop.auth.eu-west-1.amazoncognito.com/oauth2/userInfo"
    assert (found.scope, found.session_timeout_seconds, found.client_secret) == ("openid email", 60, "hunter2")


def test_cognito_with_a_custom_domain() -> None:
    found = action_in(f"authenticate-cognito: {{{COGNITO.replace('shop', 'login.shop.com')}}}")
    assert isinstance(found, LoginConfig)
    assert found.token_endpoint == "https://login.shop.com/oauth2/token"


def test_jwt_validation_and_a_default_with_authentication() -> None:
    claims = "additional_claims: [{name: role, format: string-array, values: [a, b]}]"
    text = table(f"jwt-validation: {{{JWT}, {claims}}}", default=f", jwt-validation: {{{JWT}}}")
    listener = load(text, ENVIRONMENT).listeners[0]
    plain = JwtValidationConfig("https://a.com", "https://a.com/keys")
    assert listener.default_authentication == plain
    claim = JwtClaimConfig("role", "string-array", ("a", "b"))
    assert listener.rules[0].authentication == JwtValidationConfig(plain.issuer, plain.jwks_endpoint, (claim,))


def with_jwks(url: str) -> str:
    return f'jwt-validation: {{issuer: a, jwks_endpoint: "{url}"}}'


BAD = {
    "on plain HTTP": (f"jwt-validation: {{{JWT}}}", "authentication-without-https"),
    "two of them": (f"jwt-validation: {{{JWT}}}, authenticate-oidc: {{{OIDC}}}", "several-actions"),
    "a literal secret": (f"authenticate-oidc: {{{OIDC.replace('${SECRET}', 'hunter2')}}}", "literal-secret"),
    "an http endpoint": (with_jwks("http://a.com/keys"), "invalid-value"),
    "http on what only looks like loopback": (with_jwks("http://127.0.0.1.evil.com/"), "invalid-value"),
    "http with loopback as user name": (with_jwks("http://127.0.0.1@evil.com/"), "invalid-value"),
    "a user name": (with_jwks("https://u:p@a.com/"), "invalid-value"),
    "a port that is none": (with_jwks("https://a.com:99999/"), "invalid-value"),
    "a fragment": (with_jwks("https://a.com/#x"), "invalid-value"),
    "another scheme": (with_jwks("file:///etc/passwd"), "invalid-value"),
    "a JWKS URL over 256": (with_jwks("https://a.com/" + "x" * 250), "too-long"),
    "a timeout over a week": (f"authenticate-oidc: {{{OIDC}, session_timeout: 604801}}", "out-of-range"),
    "a cookie name that ends the cookie": (
        f'authenticate-oidc: {{{OIDC}, session_cookie_name: "a;b"}}',
        "invalid-character",
    ),
    "its own parameter": (
        f"authenticate-oidc: {{{OIDC}, authentication_request_extra_params: {{redirect_uri: x}}}}",
        "invalid-value",
    ),
    "11 parameters": (
        f"authenticate-oidc: {{{OIDC}, authentication_request_extra_params: "
        f"{{{', '.join(f'p{number}: x' for number in range(11))}}}}}",
        "too-many-keys",
    ),
    "no user pool": (f"authenticate-cognito: {{{COGNITO.replace('cognito-idp', 's3')}}}", "invalid-value"),
    "exp as a further claim": (
        f"jwt-validation: {{{JWT}, additional_claims: [{{name: exp, format: single-string, values: [a]}}]}}",
        "invalid-value",
    ),
    "11 values of a claim": (
        f"jwt-validation: {{{JWT}, additional_claims: [{{name: r, format: single-string, "
        f"values: [{', '.join(f'v{number}' for number in range(11))}]}}]}}",
        "too-many-claims",
    ),
    "a blank in space-separated-values": (
        f'jwt-validation: {{{JWT}, additional_claims: [{{name: r, format: space-separated-values, values: "a b"}}]}}',
        "invalid-value",
    ),
}


@pytest.mark.parametrize(("action", "code"), BAD.values(), ids=BAD)
def test_what_is_refused(action: str, code: str) -> None:
    protocol = "HTTP" if code == "authentication-without-https" else "HTTPS"
    with pytest.raises(ConfigError) as caught:
        load(table(action, protocol=protocol), ENVIRONMENT)
    assert [problem.code for problem in caught.value.problems] == [code]
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/keys", "http://[::1]:8080/keys", "http://localhost/keys"])
def test_plain_http_on_loopback_is_a_warning(url: str) -> None:
    _, warnings = load_with_warnings(table(with_jwks(url)), ENVIRONMENT)
    assert [problem.code for problem in warnings] == ["plain-http"]


def test_two_clients_with_one_cookie_are_warned_of() -> None:
    other = OIDC.replace("client_id: web", "client_id: other")
    text = table(f"authenticate-oidc: {{{OIDC}}}", default=f", authenticate-oidc: {{{other}}}")
    _, warnings = load_with_warnings(text, ENVIRONMENT)
    assert [problem.code for problem in warnings] == ["shared-session-cookie"]

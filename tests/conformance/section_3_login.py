"""alb.md 3.4 and 3.5: who asks."""

# ruff: noqa: E501 - one row a line

import time
from typing import Any

from proxy.config.model import JwtClaimConfig
from tests.conformance.rows import RAW, Checked, Endpoint, Login, Row, has, logs

COOKIE = "AWSELBAuthSessionCookie-0"
ELEVEN_PARAMETERS = "{p1: a, p2: a, p3: a, p4: a, p5: a, p6: a, p7: a, p8: a, p9: a, p10: a, p11: a}"
HTTPS = "protocol: HTTPS, certificates: [{certificate_file: a.pem, private_key_file: a.key}],"
BEARER = "GET / with a token -> "
BIG = "x" * 200_000
IN_TIME = int(time.time()) + 3000


def _oidc(id: str, changes: dict[str, str | None], code: str = "") -> Checked:
    """`changes` are fields as they stand in YAML; None for one that is missing."""
    fields: dict[str, str | None] = {
        "issuer": "'https://a'", "authorization_endpoint": "'https://a/b'", "token_endpoint": "'https://a/c'",
        "user_info_endpoint": "'https://a/d'", "client_id": "e", "client_secret": "'${NO_SECRET:-f}'", **changes,
    }  # fmt: skip
    action = ", ".join(f"{name}: {value}" for name, value in fields.items() if value is not None)
    rule = f"{{priority: 1, conditions: [{{path-pattern: /a}}], authenticate-oidc: {{{action}}}, forward: targets}}"
    return Checked(id, "3.4", rule, code, entry=HTTPS)


def _timeout(seconds: int, code: str = "") -> Checked:
    return _oidc(f"a session timeout of {seconds} s", {"session_timeout": str(seconds)}, code)


def _jwt_table(id: str, fields: str, code: str = "") -> Checked:
    return Checked(
        id,
        "3.5",
        f"{{priority: 1, conditions: [{{path-pattern: /a}}], jwt-validation: {{{fields}}}, forward: targets}}",
        code,
        entry=HTTPS,
    )


def _claims(id: str, claims: str, code: str = "") -> Checked:
    return _jwt_table(id, f"issuer: a, jwks_endpoint: 'https://a/b', additional_claims: [{claims}]", code)


def _refused(id: str, provider: dict[str, Any], status: int, reason: str) -> Login:
    return Login(
        id,
        "3.4",
        (f"log in / -> {status}",),
        provider=provider,
        log=logs(error_reason=reason, elb_status_code=str(status)),
        cookies=("AWSALBAuthNonce",),
    )


def _token(id: str, status: int, reason: str = "-", section: str = "3.5", /, **options: Any) -> Login:
    return Login(
        id,
        section,
        (f"{BEARER}{status}",),
        kind="jwt-validation",
        log=logs(error_reason=reason, elb_status_code=str(status)),
        **options,
    )


def _claim(id: str, format: Any, values: tuple[str, ...], found: Any, status: int = 200, reason: str = "-") -> Login:
    return _token(
        id,
        status,
        reason,
        action={"additional_claims": (JwtClaimConfig("scope", format, values),)},
        token={"scope": found},
    )


ROWS: list[Row] = [
    _oidc("every field", {"session_cookie_name": "c", "scope": "openid email", "authentication_request_extra_params": "{prompt: login}", "on_unauthenticated_request": "deny"}),
    *[_oidc(f"without {name}", {name: None}, "missing-key") for name in ("issuer", "authorization_endpoint", "token_endpoint", "user_info_endpoint", "client_id")],
    _oidc("an endpoint that is no https:// URL", {"token_endpoint": "'http://a/c'"}, "invalid-value"),
    _oidc("another word for clients that are not logged in", {"on_unauthenticated_request": "ignore"}, "unknown-value"),
    _oidc("more than 10 extra parameters", {"authentication_request_extra_params": ELEVEN_PARAMETERS}, "too-many-keys"),
    _timeout(1), _timeout(604_800), _timeout(0, "out-of-range"), _timeout(604_801, "out-of-range"),
    Checked("authenticate-cognito", "3.4", "{priority: 1, conditions: [{path-pattern: /a}], authenticate-cognito: {user_pool_arn: 'arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_abc', user_pool_client_id: a, user_pool_domain: b}, forward: targets}", entry=HTTPS),
    Login("no cookie: 302 to the authorization endpoint", "3.4", ("GET /a?b=c -> 302",), answers=has(location=rb"re:http://127\.0\.0\.1:[0-9]+/authorize[?].*redirect_uri=https%3A%2F%2Fapp\.example\.com%2Foauth2%2Fidpresponse.*"), asks=(("/token", 0),)),
    Login("the scope is openid by default", "3.4", ("GET / -> 302",), answers=has(location=rb"re:.*[?&]scope=openid(&.*)?")),
    Login("a scope of its own", "3.4", ("GET / -> 302",), {"scope": "openid email"}, answers=has(location=rb"re:.*[?&]scope=openid(\+|%20)email(&.*)?")),
    Login("extra parameters", "3.4", ("GET / -> 302",), {"extra_params": (("prompt", "login"),)}, answers=has(location=rb"re:.*[?&]prompt=login(&.*)?")),
    Login("the callback exchanges the code, asks for user info and goes back", "3.4", ("log in /a?b=c -> 302",), answers=has(location=b"https://app.example.com/a?b=c"), asks=(("/token", 1), ("/userinfo", 1)), cookies=(COOKIE,)),
    Login("with the cookie the request is forwarded", "3.4", ("log in / -> 302", "GET /a -> 200"), gets=has(x_amzn_oidc_identity=b"user-1", x_amzn_oidc_accesstoken=b"re:access-.*", x_amzn_oidc_data=rb"re:[\w=-]+\.[\w=-]+\.[\w=-]+"), log=logs(actions_executed="authenticate,forward")),
    Login("a cookie of another name", "3.4", ("log in / -> 302", "GET /a -> 200"), {"session_cookie_name": "mine"}, cookies=("mine-0",)),
    Login("the cookie expires in 7 days, whatever the session's timeout, and is Secure", "3.4", ("log in / -> 302",), {"session_timeout_seconds": 60}, answers=has(set_cookie=(rb"re:AWSELBAuthSessionCookie-0=[^;]+; Expires=[^;]+ GMT; Path=/; Secure; HttpOnly.*", rb"re:AWSALBAuthNonce=.*"))),
    Login("no claims come from a client", "3.4", ("GET / as root -> 200",), {"on_unauthenticated_request": "allow"}, gets=has(x_amzn_oidc_identity=None, x_amzn_oidc_data=None)),
    Login("a login has 15 minutes", "3.4", ("begin /", "880 s pass", "come back -> 302"), provider={"id_token": {"exp": IN_TIME}}),
    Login("a login that takes over 15 minutes", "3.4", ("begin /", "902 s pass", "come back -> 401"), log=logs(error_reason="AuthInvalidStateParam")),
    Login("deny without a session", "3.4", ("GET / -> 401",), {"on_unauthenticated_request": "deny"}),
    Login("deny with an expired session: to the provider", "3.4", ("have a session", "61 s pass", "GET / -> 302"), {"on_unauthenticated_request": "deny", "session_timeout_seconds": 60}, {"tokens": {"refresh_token": None}}),
    Login("allow without a session", "3.4", ("GET / -> 200",), {"on_unauthenticated_request": "allow"}, gets=has(x_amzn_oidc_identity=None)),
    Login("allow with a session", "3.4", ("have a session", "GET / -> 200"), {"on_unauthenticated_request": "allow"}, gets=has(x_amzn_oidc_identity=b"user-1")),
    Login("a session lasts for its timeout", "3.4", ("log in / -> 302", "40 s pass", "GET / -> 200", "30 s pass", "GET / -> 302"), {"session_timeout_seconds": 60}, {"tokens": {"refresh_token": None}}),
    Login("claims are refreshed when the access token has expired", "3.4", ("log in / -> 302", "301 s pass", "GET / -> 200"), provider={"id_token": {"exp": IN_TIME}}, asks=(("/token", 2), ("/userinfo", 2))),
    Login("a refresh that is refused", "3.4", ("log in / -> 302", "the provider forgets", "301 s pass", "GET / -> 302")),
    Login("a changed cookie does not count", "3.4", ("log in / -> 302", f"spoil {COOKIE}", "GET / -> 302")),
    Login("a URL-encoded cookie does not count", "3.4", ("have a session", f"encode {COOKIE}", "GET / -> 401"), {"on_unauthenticated_request": "deny"}, log=logs(error_reason="AuthInvalidCookie")),
    Login("logout: the application takes the cookie away", "3.4", ("log in / -> 302", f"lose {COOKIE}", "GET / -> 302")),
    Login("a session over 4 K has two cookies", "3.4", ("log in / -> 302", "GET / -> 200"), provider={"user_info": {"a": "x" * 3500}}, cookies=(COOKIE, "AWSELBAuthSessionCookie-1")),
    Login("a session has four cookies at most", "3.4", ("log in / -> 302", "GET / -> 200"), provider={"user_info": {"a": "x" * 10_500}}, cookies=tuple(f"AWSELBAuthSessionCookie-{number}" for number in range(4))),
    Login("a shard is lost", "3.4", ("log in / -> 302", "lose AWSELBAuthSessionCookie-1", "GET / -> 302"), provider={"user_info": {"a": "x" * 3500}}),
    _refused("claims over 11 K", {"user_info": {"a": "x" * 11_264}}, 500, "AuthUserinfoResponseSizeExceeded"),
    _refused("the token endpoint fails", {"/token": Endpoint(500)}, 500, "AuthTokenEpRequestFailed"),
    _refused("the token endpoint takes over 5 s", {"/token": Endpoint(silent=True)}, 500, "AuthTokenEpRequestTimeout"),
    _refused("the user info endpoint fails", {"/userinfo": Endpoint(500)}, 500, "AuthUserinfoEpRequestFailed"),
    _refused("the user info endpoint takes over 5 s", {"/userinfo": Endpoint(silent=True)}, 500, "AuthUserinfoEpRequestTimeout"),
    _refused("the token endpoint's answer is none", {"/token": Endpoint(200, "{")}, 401, "AuthInvalidTokenResponse"),
    _refused("the user info endpoint's answer is none", {"/userinfo": Endpoint(200, "{")}, 401, "AuthInvalidUserinfoResponse"),
    _refused("a scope without an ID token", {"tokens": {"id_token": None}}, 401, "AuthInvalidTokenResponse"),
    _refused("the grant is not valid", {"/token": Endpoint(400, {"error": "invalid_grant"})}, 401, "AuthInvalidGrantError"),
    _refused("an ID token of another issuer", {"id_token": {"iss": "https://evil"}}, 401, "AuthInvalidIdToken"),
    _refused("an ID token for another client", {"id_token": {"aud": "other"}}, 401, "AuthInvalidIdToken"),
    _refused("an expired ID token", {"id_token": {"exp": 1}}, 401, "AuthInvalidIdToken"),
    Login("a callback without state", "9.3", ("begin /", "come back without state -> 401"), log=logs(error_reason="AuthMissingStateParam")),
    Login("a callback with another state", "9.3", ("begin /", "come back with state=x -> 401"), log=logs(error_reason="AuthInvalidStateParam")),
    Login("a callback without a code", "9.3", ("begin /", "come back without code -> 401"), log=logs(error_reason="AuthMissingCodeParam")),
    Login("a callback without the nonce's cookie", "9.3", ("begin /", "lose AWSALBAuthNonce", "come back -> 401"), log=logs(error_reason="AuthMissingAWSALBAuthNonce")),
    Login("a callback with another nonce", "9.3", ("begin /", "spoil AWSALBAuthNonce", "come back -> 401"), log=logs(error_reason="AuthInvalidAWSALBAuthNonce")),
    Login("the provider refuses the user", "8", ("begin /", "come back with error=access_denied -> 401")),
    Login("the provider has an error of its own", "8", ("begin /", "come back with error=server_error -> 561"), log=logs(elb_status_code="561")),
    Login("HTTP/1.0 without Host has no way back", "8", ("GET / without Host -> 401",), log=logs(error_reason="AuthMissingHostHeader"), doors=RAW),
    _jwt_table("jwt-validation", "issuer: a, jwks_endpoint: 'https://a/b'"),
    _jwt_table("without issuer", "jwks_endpoint: 'https://a/b'", "missing-key"),
    _jwt_table("without jwks_endpoint", "issuer: a", "missing-key"),
    _jwt_table("an issuer of 257 characters", f"issuer: {'a' * 257}, jwks_endpoint: 'https://a/b'", "too-long"),
    _jwt_table("a jwks_endpoint of 257 characters", f"issuer: a, jwks_endpoint: 'https://a/{'b' * 248}'", "too-long"),
    *[_claims(f"an additional claim {name}", f"{{name: {name}, format: single-string, values: [a]}}", "invalid-value") for name in ("exp", "iss", "nbf", "iat")],
    *[_claims(f"the claim format {name}", f"{{name: a, format: {name}, values: [a]}}") for name in ("single-string", "string-array", "space-separated-values")],
    _claims("another claim format", "{name: a, format: number, values: [a]}", "unknown-value"),
    _claims("11 additional claims", ", ".join(f"{{name: a{number}, format: single-string, values: [a]}}" for number in range(11)), "too-many-claims"),
    _claims("11 values of a claim", f"{{name: a, format: string-array, values: [{', '.join('abcdefghijk')}]}}", "too-many-claims"),
    _claims("a value of 257 characters", f"{{name: a, format: single-string, values: [{'a' * 257}]}}", "too-long"),
    _claims("a value with a blank among those separated by blanks", "{name: a, format: space-separated-values, values: ['a b']}", "invalid-value"),
    _token("a good token goes on unchanged", 200, gets=has(authorization=b"re:Bearer .*")),
    Login("no token", "3.5", ("GET / -> 401",), kind="jwt-validation", log=logs(error_reason="JWTHeaderNotPresent")),
    _token("RS256 only: RS384", 401, "JWTRequestFormatInvalid", header={"alg": "RS384"}),
    _token("RS256 only: HS256", 401, "JWTRequestFormatInvalid", header={"alg": "HS256"}),
    _token("RS256 only: none", 401, "JWTRequestFormatInvalid", header={"alg": "none"}),
    _token("the signature is mandatory", 401, "JWTSignatureValidationError", header={"by": "second"}),
    _token("iss is mandatory", 401, "JWTClaimNotPresent", token={"iss": None}),
    _token("another iss", 401, "JWTClaimValueInvalid", token={"iss": "https://evil"}),
    _token("exp is mandatory", 401, "JWTClaimNotPresent", token={"exp": None}),
    _token("exp is over", 401, "JWTClaimValueInvalid", token={"exp": 1}),
    _token("exp of another format", 401, "JWTClaimFormatInvalid", token={"exp": "a"}),
    _token("nbf is checked when present", 401, "JWTClaimValueInvalid", token={"nbf": IN_TIME}),
    _token("iat is checked when present", 401, "JWTClaimValueInvalid", token={"iat": IN_TIME}),
    _claim("a single-string claim", "single-string", ("a", "b"), "b"),
    _claim("a single-string claim with another value", "single-string", ("a", "b"), "c", 401, "JWTClaimValueInvalid"),
    _claim("a claim that is missing", "single-string", ("a",), None, 401, "JWTClaimNotPresent"),
    _claim("a claim of another format", "single-string", ("a",), ["a"], 401, "JWTClaimFormatInvalid"),
    _claim("a string-array claim", "string-array", ("a",), ["b", "a"]),
    _claim("a string-array claim without the value", "string-array", ("a",), ["b"], 401, "JWTClaimValueInvalid"),
    _claim("a space-separated-values claim", "space-separated-values", ("read",), "write read"),
    _claim("a space-separated-values claim without the value", "space-separated-values", ("read",), "write reader", 401, "JWTClaimValueInvalid"),
    _token("keys: not 2xx", 562, "JWKS.*", "8", provider={"/jwks": Endpoint(500)}),
    _token("keys: over 5 s", 562, "JWKS.*", "8", provider={"/jwks": Endpoint(silent=True)}),
    _token("keys: over 150 KB", 562, "JWKS.*", "8", provider={"/jwks": Endpoint(200, BIG)}),
    _token("keys: over 10", 562, "JWKS.*", "8", provider={"/jwks": Endpoint(200, {"keys": [{"kty": "EC"}] * 11})}),
]  # fmt: skip

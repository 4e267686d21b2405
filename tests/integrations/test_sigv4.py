"""Our signatures are botocore's."""

from __future__ import annotations

import datetime
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.integrations.sigv4 import Credentials, signed

NOW = 1_700_000_000.0
PATHS = st.sampled_from(
    ["/", "/2015-03-31/functions/users/invocations", "/a/arn%3Aaws%3Alambda%3Ax/invocations", "/base/~x_y.z-1/"]
)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.strip)


@settings(deadline=None)
@given(
    path=PATHS,
    payload=st.binary(max_size=100),
    token=st.sampled_from(["", "a-token=="]),
    values=st.dictionaries(
        st.sampled_from(["Content-Type", "X-Amz-Target", "X-Amz-Invocation-Type", "X-Amzn-Trace-Id"]), VALUES
    ),
)
def test_the_oracle_signs_the_same(path: str, payload: bytes, token: str, values: dict[str, str]) -> None:
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    headers = {"Host": "lambda.eu-west-1.amazonaws.com", **values}
    ours = signed(headers, payload, credentials, path=path, region="eu-west-1", service="lambda", now=NOW)
    request = AWSRequest("POST", f"https://lambda.eu-west-1.amazonaws.com{path}", headers=values, data=payload)
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    with patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4Auth(
            BotoCredentials(credentials.access_key_id, credentials.secret_access_key, token or None),
            "lambda",
            "eu-west-1",
        ).add_auth(request)

    assert ours["Authorization"] == request.headers["Authorization"]
    assert ours.get("X-Amz-Security-Token") == request.headers.get("X-Amz-Security-Token")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"AWS_ACCESS_KEY_ID": "a"}, None, id="half of it"),
        pytest.param({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, Credentials("a", "b"), id="a key"),
        pytest.param(
            {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"},
            Credentials("a", "b", "c"),
            id="a session",
        ),
    ],
)
def test_credentials_of_the_environment(environ: dict[str, str], expected: Credentials | None) -> None:
    assert Credentials.of(environ) == expected


def test_secrets_are_not_shown() -> None:
    assert "b" not in repr(Credentials("a", "bbbb", "cccc")).replace("Credentials", "")
    assert "cccc" not in repr(Credentials("a", "bbbb", "cccc"))

"""The key of stickiness cookies: where it comes from, and that it is never shown."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.config.cookie_key import KEY, KEY_FILE, CookieKeyError, cookie_key

SECRET = "0123456789abcdef0123456789abcdef"


def test_from_the_environment() -> None:
    key = cookie_key({KEY: SECRET, KEY_FILE: "/nowhere"})
    assert (key.secret, key.lasts) == (SECRET.encode(), True)


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(SECRET + "\n")
    key = cookie_key({KEY: "", KEY_FILE: str(path)})
    assert (key.secret, key.lasts) == (SECRET.encode(), True)


def test_a_file_that_is_not_there_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = cookie_key({KEY_FILE: str(path)})
    assert key.lasts
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().strip() == key.secret
    assert len(key.secret) == 64
    assert cookie_key({KEY_FILE: str(path)}) == key
    assert os.listdir(tmp_path) == ["key"]


def test_processes_that_start_together_get_the_same_key(tmp_path: Path) -> None:
    environment = {KEY_FILE: str(tmp_path / "key")}
    with ThreadPoolExecutor(8) as threads:
        keys = {key.secret for key in threads.map(lambda _: cookie_key(environment), range(16))}
    assert len(keys) == 1
    assert os.listdir(tmp_path) == ["key"]


def test_a_key_for_this_run_is_new_each_time_and_can_be_handed_on() -> None:
    one, two = cookie_key({}), cookie_key({})
    assert one.secret != two.secret
    assert not one.lasts
    assert cookie_key({KEY: one.as_variable()}) == one
    lasting = cookie_key({KEY: SECRET})
    assert cookie_key({KEY: lasting.as_variable()}) == lasting


@pytest.mark.parametrize("text", ["hunter2", SECRET[:-1]], ids=["7 characters", "one too few"])
def test_a_short_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    for environment, where in (({KEY: text}, KEY), ({KEY_FILE: str(path)}, str(path))):
        with pytest.raises(CookieKeyError, match="at least 32: make one with: openssl rand -hex 32") as caught:
            cookie_key(environment)
        assert where in str(caught.value)
        assert text not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere/key", "."], ids=["no folder", "a folder"])
def test_a_file_that_cannot_be_had_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(CookieKeyError, match=f"cannot read or make the cookie key file {path}: "):
        cookie_key({KEY_FILE: str(path)})


def test_a_key_is_never_shown() -> None:
    key = cookie_key({KEY: SECRET})
    assert SECRET not in f"{key!r} {key}"

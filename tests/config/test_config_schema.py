"""The JSON Schema: a good schema, and no stricter than the loader."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from config_tables import EXAMPLES, SHORT, problems_of, table_with_action, table_with_condition, table_with_group
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy.config.load import load
from proxy.config.problem import ConfigError
from proxy.config.records import Either, ListOf, MapOf, OneOrMany, Record
from proxy.config.schema import json_schema
from proxy.config.table import TABLE

VALIDATOR = Draft202012Validator(json_schema())


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_every_key_is_described() -> None:
    """Editors show the description beside the key."""

    def undescribed(schema: Any, path: str) -> list[str]:
        if isinstance(schema, list):
            return [name for each in schema for name in undescribed(each, path)]
        if not isinstance(schema, dict):
            return []
        missing = [
            f"{path}.{name}" for name, value in schema.get("properties", {}).items() if not value.get("description")
        ]
        return missing + [name for key, value in schema.items() for name in undescribed(value, f"{path}.{key}")]

    assert undescribed(json_schema(), "") == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_fit(name: str) -> None:
    """Also those that the loader refuses only because part of them does nothing yet."""
    assert list(VALIDATOR.iter_errors(yaml.safe_load(EXAMPLES[name]))) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SHORT.replace("version: 1", "version: 1\nlistners: []"), id="a misspelt key"),
        pytest.param(SHORT.replace("8080", "80800"), id="a port out of range"),
        pytest.param(SHORT.replace("8080", "'8080'"), id="a port in quotes"),
        pytest.param(table_with_condition("host-header: 1.0"), id="a number for a pattern"),
        pytest.param(table_with_condition("host-heade: a.com"), id="a misspelt condition"),
        pytest.param(table_with_condition("path-pattern: []"), id="an empty list"),
        pytest.param(table_with_condition("http-header: {A: a, B: b}"), id="two header names"),
        pytest.param(table_with_action("forward: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1}"), id="six target groups"),
        pytest.param(table_with_action("forward: {a: 1000}"), id="a weight of 1000"),
        pytest.param(table_with_action("redirect: {status_code: 302}"), id="a status that is no word"),
        pytest.param(table_with_group("health_check: {interval_seconds: 4}"), id="a short interval"),
        pytest.param(table_with_group("attributes: {stickiness: true}"), id="a misspelt attribute"),
    ],
)
def test_it_refuses(text: str) -> None:
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text)))


SCALARS = st.sampled_from(
    [
        *("", "monolith", "users", "/a", "/*", "a.com", "*.b.com", "GET", "10.0.0.0/8", "^/x$", "*", "on", "off"),
        *("HTTP", "HTTPS", "HTTP_301", "HTTP_302", "443", "#{port}", "#{host}", "/#{path}", "text/plain", "200-299"),
        *("http://a:1", "https://[::1]:2", "append", "${PORT}", "${NAME:-monolith}", "${FLAG}", "traffic-port"),
        *(0, 1, 2, 5, 30, 60, 200, 302, 404, 8080, 65535, 70000, -1, True, False, None, 1.5),
    ]
)


@st.composite
def changed_tables(draw: st.DrawFn) -> Any:
    """An example with some of its values replaced by others, and keys removed or moved."""
    table = copy.deepcopy(yaml.safe_load(EXAMPLES[draw(st.sampled_from(["short", "whole", "conditions"]))]))
    for _ in range(draw(st.integers(0, 3))):
        places: list[tuple[Any, Any]] = []
        waiting = [table]
        while waiting:
            node = waiting.pop()
            for key in list(node) if isinstance(node, dict) else range(len(node)):
                places.append((node, key))
                if isinstance(node[key], dict | list):
                    waiting.append(node[key])
        node, key = draw(st.sampled_from(places))
        value = draw(
            st.one_of(
                SCALARS,
                st.lists(SCALARS, max_size=2),
                st.dictionaries(st.sampled_from(["regex", "a", "monolith", "users", "enabled"]), SCALARS, max_size=2),
            )
        )
        if draw(st.booleans()):
            node[key] = value
        else:
            del node[key]
    return table


@settings(max_examples=150, deadline=None)
@given(changed_tables())
def test_what_the_loader_accepts_the_schema_accepts(table: Any) -> None:
    """With what editors say there is never a table that they call bad and the gateway takes."""
    text = yaml.safe_dump(table, allow_unicode=True)
    try:
        load(text, {"PORT": "8080", "FLAG": "true"})
    except ConfigError:
        return

    assert list(VALIDATOR.iter_errors(table)) == []


def _values_for(shape: Any) -> list[Any]:
    """Some values for a shape, good and bad ones, so that every key of the language is tried."""
    inner = getattr(shape, "shape", None)
    if inner is not None:
        return _values_for(inner)
    if isinstance(shape, Record):
        return []
    words = list(getattr(shape, "words", ()))
    number = getattr(shape, "number", shape)
    numbers = [number.low, number.high, number.low - 1, str(number.low)] if hasattr(number, "low") else []
    return [*words, *numbers, True, False, 200, "text", "a.com", "/", "GET", "http://a:1", "HTTP", "#{query}"]


def _leaves(shape: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Each key of the language that has a single value, with the path to it and its shape."""
    inner = getattr(shape, "shape", None)
    if inner is not None:
        return _leaves(inner, path)
    if isinstance(shape, Record):
        return [leaf for field in shape.fields.values() for leaf in _leaves(field.shape, (*path, field.name))]
    if isinstance(shape, Either):
        return [leaf for each in shape.shapes for leaf in _leaves(each, path)]
    if isinstance(shape, ListOf | OneOrMany):
        return _leaves(shape.item, (*path, 0))
    if isinstance(shape, MapOf):
        return _leaves(shape.item, (*path, "monolith"))
    return [(path, shape)]


def _nested(path: tuple[Any, ...], value: Any) -> Any:
    for key in reversed(path):
        value = [value] if key == 0 else {key: value}
    return value


def _fits(path: tuple[Any, ...], value: Any) -> bool:
    """Whether the schema has nothing against this very value; what is missing beside it does not count."""
    errors = VALIDATOR.iter_errors(_nested(path, value))
    return all(error.validator == "required" for error in errors)


@pytest.mark.parametrize(
    ("path", "shape"), [pytest.param(*leaf, id=".".join(map(str, leaf[0]))) for leaf in _leaves(TABLE)]
)
def test_each_value_that_a_key_accepts_fits_the_schema(path: tuple[Any, ...], shape: Any) -> None:
    """Over every key of the language, those included that do nothing yet."""
    where = "".join(f"[{key}]" if key == 0 else f".{key}" for key in path).lstrip(".")
    values = _values_for(shape)
    from_environment = [("${X}", str(value).lower() if isinstance(value, bool) else str(value)) for value in values]
    for value, variable in [*((value, "") for value in values), *from_environment]:
        text = yaml.safe_dump(_nested(path, value))
        about_value = [
            problem
            for problem in problems_of(text, {"X": variable})
            if problem.place.path == where and problem.code != "not-supported-yet" and problem.severity == "error"
        ]
        if not about_value:
            assert _fits(path, value), (value, variable)

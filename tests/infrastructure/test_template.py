"""The SAM template: clean, and saying the same as the files that the same functions have on this machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PATH = REPOSITORY / "infrastructure" / "template.yaml"
SERVICES = REPOSITORY / "extracted_services"


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as `{name: value}`."""


_Loader.add_multi_constructor(
    "!",
    lambda loader, name, node: {name: getattr(loader, f"construct_{node.id}")(node)},  # type: ignore[no-untyped-call]
)
TEMPLATE: dict[str, Any] = yaml.load(PATH.read_text(), _Loader)
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]


def functions(file: Path) -> dict[str, Any]:
    """The functions of a file for the function host."""
    loaded: dict[str, Any] = yaml.safe_load(file.read_text())["functions"]
    return loaded


def test_the_linter_finds_nothing() -> None:
    """With every warning, and none ignored."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--format", "json", str(PATH)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(ended.stdout) == []
    assert ended.returncode == 0


def named(node: Any) -> Iterator[str]:
    """Everything that a reference in the template names."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                yield value
            elif key == "GetAtt":
                yield value.partition(".")[0]
            elif key == "Sub":
                yield from re.findall(r"\$\{([\w:]+)", value)
            else:
                yield from named(value)
    elif isinstance(node, list):
        for value in node:
            yield from named(value)


def test_what_is_referred_to_is_there() -> None:
    """The linter does not see it in a template of this kind."""
    names = set(named(TEMPLATE))
    assert "UploadsFailed" in names
    assert {name for name in names if not name.startswith("AWS::")} <= {*RESOURCES, *TEMPLATE["Parameters"]}


@pytest.mark.parametrize("name", ["ResizeFunction", "CountClicksFunction"])
def test_a_zip_function_has_its_handler_where_the_template_says(name: str) -> None:
    properties = RESOURCES[name]["Properties"]
    module, _, handler = properties["Handler"].partition(".")
    assert f"def {handler}(" in (PATH.parent / properties["CodeUri"] / f"{module}.py").read_text()


def test_the_image_function_has_its_handler_in_the_image() -> None:
    function = RESOURCES["AnalyseFunction"]
    folder = PATH.parent / function["Metadata"]["DockerContext"]
    dockerfile = (folder / function["Metadata"]["Dockerfile"]).read_text()
    assert function["Properties"]["PackageType"] == "Image"
    assert "ARG BASE=public.ecr.aws/lambda/python:3.13\nFROM ${BASE}\n" in dockerfile
    assert 'CMD ["analyse.handler"]' in dockerfile
    assert "def handler(" in (folder / "analyse.py").read_text()


def test_the_stream_is_read_as_on_this_machine() -> None:
    (here,) = functions(SERVICES / "clicks" / "functions.yaml")["count-clicks"]["event_sources"]
    there = RESOURCES["CountClicksFunction"]["Properties"]["Events"]["Clicks"]["Properties"]
    for key, value in here.items():
        if key not in ("event_source_arn", "on_failure"):
            assert there["".join(part.capitalize() for part in key.split("_"))] == value
    assert there["DestinationConfig"]["OnFailure"]["Type"] == "SQS"
    assert len(there) == len(here)


@pytest.mark.parametrize("name", ["resize", "analyse"])
def test_what_is_asynchronous_ends_as_on_this_machine(name: str) -> None:
    """Two attempts after the first, then the queue, for both subscribers."""
    here = functions(SERVICES / "uploads" / "functions.yaml")[name]
    there = RESOURCES[f"{name.capitalize()}Function"]["Properties"]
    assert here["asynchronous"]["on_failure"].endswith(":uploads-failed")
    assert there["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"] == {
        "GetAtt": "UploadsFailed.Arn"
    }
    assert there["EventInvokeConfig"]["MaximumRetryAttempts"] == 2
    assert here["timeout"] == TEMPLATE["Globals"]["Function"]["Timeout"]


def test_an_event_is_put_where_the_gateway_puts_it() -> None:
    """The HTTP API takes the same requests, and makes the same call of them."""
    table = yaml.safe_load((REPOSITORY / "routes.yaml").read_text())
    here = table["target_groups"]["clicks"]["local"]["event"]
    (rule,) = [rule for rule in table["listeners"][0]["rules"] if rule["name"] == "clicks"]
    method, path = (condition[key] for condition in rule["conditions"] for key in condition)
    there = RESOURCES["ClicksIntegration"]["Properties"]
    assert there["IntegrationSubtype"] == here["integration_subtype"]
    assert {**there["RequestParameters"], "StreamName": "clicks"} == {
        **here["request_parameters"],
        "StreamName": "clicks",
    }
    assert RESOURCES["ClicksRoute"]["Properties"]["RouteKey"] == f"{method} {path}"
    assert RESOURCES["ClicksRoute"]["Properties"]["AuthorizationType"] == "JWT"


def test_the_report_is_due_when_it_is_here() -> None:
    (here,) = yaml.safe_load((SERVICES / "nightly_report" / "schedules.yaml").read_text())["schedules"]
    there = RESOURCES["NightlyReport"]["Properties"]
    assert there["ScheduleExpression"] == here["schedule_expression"]
    assert there["ScheduleExpressionTimezone"] == here["schedule_expression_timezone"]
    assert there["Target"]["EcsParameters"]["TaskCount"] == 1


def test_no_function_may_touch_everything() -> None:
    text = PATH.read_text()
    assert not re.findall(r"(Action|Resource): [\"']?\*[\"']?$", text, re.MULTILINE)


def test_a_function_s_output_is_not_under_the_prefix_that_it_watches() -> None:
    properties = RESOURCES["ResizeFunction"]["Properties"]
    watched = properties["Events"]["Originals"]["Properties"]["Filter"]["S3Key"]["Rules"][0]["Value"]
    (written,) = [
        statement["Resource"]["Sub"]
        for policy in properties["Policies"]
        for statement in policy.get("Statement", ())
        if statement["Action"] == "s3:PutObject"
    ]
    assert f"/{watched}" not in written

"""`sam build` and `sam deploy` of the template to the emulator; what was built then runs in the function host."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aws_endpoint import client, unique
from function_host import eventually, running_host
from photos import photo
from sam_cli import emulator_for_templates, sam

from monolith_stub import images

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.system


class Deployed(NamedTuple):
    """A stack in the emulator, and where its parts were built."""

    environment: Mapping[str, str]
    built: Path
    outputs: dict[str, str]
    resources: dict[str, dict[str, Any]]

    def client(self, service: str, **config: Any) -> Any:
        return client(service, self.environment["AWS_ENDPOINT_URL"], **config)

    def name(self, logical: str) -> str:
        name: str = self.resources[logical]["PhysicalResourceId"]
        return name


PARAMETERS = {"ClicksIssuer": "https://id.example.com", "ReportSubnets": "subnet-11111111,subnet-22222222"}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Everything but the function that is an image, which takes a container engine to build."""
    folder = tmp_path_factory.mktemp("repository")
    for part in ("infrastructure", "extracted_services/uploads/functions", "extracted_services/clicks/functions"):
        shutil.copytree(REPOSITORY / part, folder / part)
    template = folder / "infrastructure" / "template.yaml"
    text = template.read_text().replace("python3.13", f"python3.{sys.version_info.minor}")
    template.write_text(without_image(text))
    with emulator_for_templates() as environment:
        stack, artifacts = unique("shop"), unique("artifacts")
        s3 = client("s3", environment["AWS_ENDPOINT_URL"], s3={"addressing_style": "path"})
        s3.create_bucket(Bucket=artifacts)
        s3.close()
        sam(folder / "infrastructure", "build", environment=environment)
        arguments = ["--stack-name", stack, "--s3-bucket", artifacts, "--capabilities", "CAPABILITY_IAM"]
        arguments += ["--parameter-overrides", *(f"{name}={value}" for name, value in PARAMETERS.items())]
        sam(folder / "infrastructure", "deploy", *arguments, "--no-progressbar", environment=environment)
        cloudformation = client("cloudformation", environment["AWS_ENDPOINT_URL"])
        (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        resources = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        cloudformation.close()
        assert described["StackStatus"] == "CREATE_COMPLETE"
        yield Deployed(
            environment,
            folder / "infrastructure" / ".aws-sam" / "build",
            {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]},
            {one["LogicalResourceId"]: one for one in resources},
        )


def without_image(template: str) -> str:
    """The template before the second subscriber's function came; nothing else of it has to be changed."""
    before, found, after = template.partition("  AnalyseFunction:\n")
    assert found
    return before + after[after.index("  # ---- Clicks") :]


def test_the_bucket_tells_the_function_and_everybody_who_comes_later(deployed: Deployed) -> None:
    s3, lambda_ = deployed.client("s3", s3={"addressing_style": "path"}), deployed.client("lambda")
    told = s3.get_bucket_notification_configuration(Bucket=deployed.outputs["PhotosBucket"])
    layers = lambda_.get_function_configuration(FunctionName=deployed.name("ResizeFunction"))["Layers"]
    s3.close()
    lambda_.close()

    (function,) = told["LambdaFunctionConfigurations"]
    assert function["LambdaFunctionArn"].endswith(f":{deployed.name('ResizeFunction')}")
    assert function["Events"] == ["s3:ObjectCreated:*"]
    assert function["Filter"]["Key"]["FilterRules"] == [{"Name": "prefix", "Value": "originals/"}]
    assert "EventBridgeConfiguration" in told
    assert len(layers) == 1


def test_clicks_with_a_token_go_straight_to_the_stream(deployed: Deployed) -> None:
    """The emulator makes no direct integration, so what it was told is looked at."""
    api = deployed.client("apigatewayv2")
    api_id = deployed.name("ClicksApi")
    (route,) = api.get_routes(ApiId=api_id)["Items"]
    (integration,) = api.get_integrations(ApiId=api_id)["Items"]
    (authorizer,) = api.get_authorizers(ApiId=api_id)["Items"]
    api.close()

    assert route["RouteKey"] == "POST /api/clicks"
    assert route["AuthorizerId"] == authorizer["AuthorizerId"]
    assert route["Target"] == f"integrations/{integration['IntegrationId']}"
    assert integration["RequestParameters"]["StreamName"] == deployed.outputs["ClicksStream"]
    assert authorizer["JwtConfiguration"] == {"Issuer": PARAMETERS["ClicksIssuer"], "Audience": ["clicks"]}


def test_the_report_is_started_at_night(deployed: Deployed) -> None:
    scheduler = deployed.client("scheduler")
    schedule = scheduler.get_schedule(Name=deployed.name("NightlyReport"))
    scheduler.close()

    assert schedule["ScheduleExpression"] == "cron(0 5 * * ? *)"
    target = schedule["Target"]
    assert target["Arn"].endswith(":cluster/default")
    assert target["EcsParameters"]["TaskDefinitionArn"].endswith(":task-definition/nightly-report")
    assert target["DeadLetterConfig"]["Arn"].endswith(deployed.name("ReportsFailed").rpartition("/")[2])


def test_poison_cannot_stop_the_stream(deployed: Deployed) -> None:
    lambda_ = deployed.client("lambda")
    (mapping,) = lambda_.list_event_source_mappings(FunctionName=deployed.name("CountClicksFunction"))[
        "EventSourceMappings"
    ]
    lambda_.close()

    assert mapping["EventSourceArn"].endswith(f"/{deployed.outputs['ClicksStream']}")
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["MaximumRetryAttempts"] == 5
    assert "ClicksFailed" in mapping["DestinationConfig"]["OnFailure"]["Destination"]


def test_a_signup_reaches_the_queue_and_nothing_else_does(deployed: Deployed) -> None:
    sns, sqs = deployed.client("sns"), deployed.client("sqs")
    for event_type in ("user.deleted", "user.signed_up"):
        attributes = {"event_type": {"DataType": "String", "StringValue": event_type}}
        sns.publish(TopicArn=deployed.outputs["UsersTopic"], Message=event_type, MessageAttributes=attributes)

    def received() -> Any:
        return sqs.receive_message(QueueUrl=deployed.outputs["EmailQueue"], WaitTimeSeconds=1).get("Messages")

    messages = eventually(received, "nothing comes")
    sns.close()
    sqs.close()
    assert [message["Body"] for message in messages] == ["user.signed_up"]


def test_what_was_built_runs(deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's package and its layer, laid out as on Lambda, resize with the layer's Pillow."""
    for name, value in deployed.environment.items():
        monkeypatch.setenv(name, value)
    (layer,) = [folder for folder in deployed.built.iterdir() if folder.name.startswith("PillowLayer")]
    assert re.search(r"^pillow-[\d.]+\.dist-info$", "\n".join(one.name for one in layer.glob("python/*")), re.MULTILINE)
    bucket = deployed.outputs["PhotosBucket"]
    s3 = deployed.client("s3", s3={"addressing_style": "path"})
    s3.put_object(Bucket=bucket, Key="originals/a b", Body=photo(width=2000, height=1000))
    function = {
        "handler": "resize.handler",
        "code": str(deployed.built / "ResizeFunction"),
        "layers": [str(layer)],
        "environment": {"S3_ADDRESSING_STYLE": "path"},
        "timeout": 60,
    }
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": "originals/a+b"}},
    }
    with running_host(tmp_path, {"resize": function}) as host:
        answer = host.call("resize", {"Records": [record]})
    with s3.get_object(Bucket=bucket, Key="resized/a b/thumb.jpg")["Body"] as body:
        thumb = body.read()
    s3.close()

    assert "FunctionError" not in answer, json.dumps(answer["value"])
    _, width, height = images.resize(thumb)["thumb"]
    assert (width, height) == (160, 80)

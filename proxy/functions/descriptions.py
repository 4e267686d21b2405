"""Functions as Lambda's API shows them; pure."""

from __future__ import annotations

from typing import Any

from proxy.functions.model import VERSION, FunctionConfig, function_arn


def configuration(function: FunctionConfig, region: str) -> dict[str, Any]:
    """FunctionConfiguration: of ListFunctions and GetFunctionConfiguration."""
    return {
        "FunctionName": function.name,
        "FunctionArn": function_arn(function.name, region),
        "Runtime": function.runtime,
        "Handler": function.handler,
        "Timeout": function.timeout,
        "MemorySize": function.memory_size,
        "Version": VERSION,
        "PackageType": "Zip",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Environment": {"Variables": dict(function.environment)},
        "Layers": [{"Arn": str(layer)} for layer in function.layers],
        "DeadLetterConfig": {"TargetArn": function.asynchronous.dead_letter},
        "LoggingConfig": _logging(function),
    }


def _logging(function: FunctionConfig) -> dict[str, str]:
    shown = {"LogFormat": function.logging.log_format, "LogGroup": f"/aws/lambda/{function.name}"}
    if function.logging.log_format == "JSON":
        shown["ApplicationLogLevel"] = function.logging.application_log_level
        shown["SystemLogLevel"] = function.logging.system_log_level
    return shown


def described(function: FunctionConfig, region: str) -> dict[str, Any]:
    """What GetFunction answers."""
    shown: dict[str, Any] = {
        "Configuration": configuration(function, region),
        "Code": {"RepositoryType": "file", "Location": str(function.code)},
    }
    if function.reserved_concurrency is not None:
        shown["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved_concurrency}
    return shown


def invoke_config(function: FunctionConfig, region: str) -> dict[str, Any]:
    """What GetFunctionEventInvokeConfig answers."""
    config = function.asynchronous
    destinations = {"OnSuccess": config.on_success, "OnFailure": config.on_failure}
    return {
        "FunctionArn": f"{function_arn(function.name, region)}:{VERSION}",
        "MaximumRetryAttempts": config.maximum_retry_attempts,
        "MaximumEventAgeInSeconds": config.maximum_event_age_seconds,
        "DestinationConfig": {name: {"Destination": arn} for name, arn in destinations.items() if arn},
    }

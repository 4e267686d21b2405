"""alb.md 5.7: health checks over real sockets."""

# ruff: noqa: E501 - one row a line, and YAML is full of braces

from tests.conformance.rows import Probed, Row


def _status(code: int) -> bytes:
    return b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % code


OK, BAD = _status(200), _status(500)

ROWS: list[Row] = [
    Probed("healthy after the first success, whatever the threshold", "5.7", "{healthy_threshold_count: 10}"),
    Probed("the threshold applies to recovery", "5.7", "{healthy_threshold_count: 3}", (BAD, BAD, OK, OK), "unhealthy", "Target.ResponseCodeMismatch"),
    Probed("recovered at the threshold", "5.7", "{healthy_threshold_count: 3}", (BAD, BAD, OK, OK, OK)),
    Probed("a failure between begins the count anew", "5.7", "{healthy_threshold_count: 2}", (BAD, BAD, OK, BAD, OK), "unhealthy", "Target.ResponseCodeMismatch"),
    Probed("2 failures by default", "5.7", "{}", (OK, BAD)),
    Probed("unhealthy at the threshold", "5.7", "{}", (OK, BAD, BAD), "unhealthy", "Target.ResponseCodeMismatch"),
    Probed("5 passes by default to recover", "5.7", "{}", (BAD, BAD, OK, OK, OK, OK), "unhealthy", "Target.ResponseCodeMismatch"),
    Probed("a new target that fails stays initial until the threshold", "5.7", "{unhealthy_threshold_count: 3}", (BAD, BAD), "initial", "Elb.InitialHealthChecking"),
    Probed("a code that does not match", "5.7", "{unhealthy_threshold_count: 2, matcher: '200-299,404'}", (_status(302), _status(302)), "unhealthy", "Target.ResponseCodeMismatch"),
    Probed("a code of the matcher's list", "5.7", "{matcher: '200-299,404'}", (_status(404),)),
    Probed("a code of the matcher's range", "5.7", "{matcher: '200-299'}", (_status(204),)),
    Probed("no answer within the timeout", "5.7", "{}", (None, None), "unhealthy", "Target.Timeout"),
    Probed("connections that are closed", "5.7", "{}", (b"", b""), "unhealthy", "Target.FailedHealthChecks"),
    Probed("answers that are none", "5.7", "{}", (b"nonsense\r\n\r\n",) * 2, "unhealthy", "Target.FailedHealthChecks"),
    Probed("GET, the path with its query, the agent's name and ip:port", "5.7", "{path: '/health?deep=1'}", request=(b"GET /health?deep=1 HTTP/1.1", b"Host: 127.0.0.1:PORT", b"User-Agent: ELB-HealthChecker/2.0")),
    Probed("/ by default", "5.7", "{}", request=(b"GET / HTTP/1.1",)),
    Probed("each check is a connection of its own", "5.7", "{}", (OK, OK, OK)),
    Probed("gRPC: 12 by default, at its own path", "5.7", grpc_status=(12,), request=(b"POST /AWS.ALB/healthcheck HTTP/2", b"content-type: application/grpc")),
    Probed("gRPC: 0 is not 12", "5.7", grpc_status=(0, 0), state="unhealthy", reason="Target.ResponseCodeMismatch"),
    Probed("gRPC: codes of the matcher", "5.7", "{matcher: {grpc_code: '0-5'}, path: /a.B/c}", grpc_status=(5,), request=(b"POST /a.B/c HTTP/2",)),
]  # fmt: skip

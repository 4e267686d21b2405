"""The error objects that the platform itself answers with; a handler's own come from its runtime (Lambda guide)."""

from __future__ import annotations

import json
import signal

from proxy.functions.model import MAX_RESPONSE_BYTES, Outcome

TIMED_OUT = "Sandbox.Timedout"
EXITED = "Runtime.ExitError"
RESPONSE_TOO_LARGE = "Function.ResponseSizeTooLarge"


def error_object(error_type: str, message: str) -> bytes:
    """An error object as JSON."""
    return json.dumps({"errorType": error_type, "errorMessage": message}, separators=(",", ":")).encode()


def timed_out(request_id: str, timeout: int) -> Outcome:
    """The function ran longer than its timeout and was killed."""
    message = f"RequestId: {request_id} Error: Task timed out after {timeout}.00 seconds"
    return Outcome(error_object(TIMED_OUT, message), failed=True, error_type=TIMED_OUT)


def exited(request_id: str, returncode: int) -> Outcome:
    """The process ended before it answered; `returncode` is as subprocess gives it, negative for a signal."""
    message = f"RequestId: {request_id} Error: {exit_reason(returncode)}"
    return Outcome(error_object(EXITED, message), failed=True, error_type=EXITED)


def exit_reason(returncode: int) -> str:
    """Lambda's words for how a runtime ended."""
    if returncode == 0:
        return "Runtime exited without providing a reason"
    if returncode > 0:
        return f"Runtime exited with error: exit status {returncode}"
    number = -returncode
    name = _SIGNALS.get(number) or signal.strsignal(number) or str(number)
    return f"Runtime exited with error: signal: {name.lower()}"


_SIGNALS: dict[int, str] = {
    signal.SIGKILL: "killed",
    signal.SIGTERM: "terminated",
    signal.SIGSEGV: "segmentation fault",
}


def response_too_large() -> Outcome:
    """The answer is over 6 MB."""
    message = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
    return Outcome(error_object(RESPONSE_TOO_LARGE, message), failed=True, error_type=RESPONSE_TOO_LARGE)

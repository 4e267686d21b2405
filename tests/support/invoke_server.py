"""The Invoke API with answers of the test's choice, odd ones too."""

from __future__ import annotations

import json
from typing import Any

from scripted_target import ScriptedTarget
from wire import Message, Wire


class InvokeServer(ScriptedTarget):
    """Answers every invocation with `reply`.

    Attributes:
        reply: The whole response as bytes; `returns`, `fails` and `refuses` set it.
    """

    def __init__(self) -> None:
        self.reply = b""
        self.returns({"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "hello"})
        super().__init__(self._answer)

    def _answer(self, wire: Wire) -> None:
        while True:
            self.take(wire)
            wire.send(self.reply)

    def returns(self, result: Any, *, status: int = 200, **headers: str) -> None:
        """Answer with this result: a value, or the payload as bytes."""
        payload = result if isinstance(result, bytes) else json.dumps(result).encode()
        lines = {"Content-Length": str(len(payload)), "X-Amzn-RequestId": "r-1"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.reply = f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + payload

    def fails(self, error_type: str = "ValueError") -> None:
        """Answer as for a function that raised."""
        self.returns({"errorMessage": "no", "errorType": error_type}, X_Amz_Function_Error="Unhandled")

    def refuses(self, status: int, error_type: str = "") -> None:
        """Answer with an error of the Invoke API itself."""
        headers = {"X_Amzn_ErrorType": error_type} if error_type else {}
        self.returns({"Message": "no"}, status=status, **headers)

    @property
    def invocation(self) -> Message:
        """The last one."""
        return self.requests[-1]

    @property
    def event(self) -> Any:
        """What the function got last."""
        return json.loads(self.invocation.body)

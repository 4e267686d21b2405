"""The admin port as a FastAPI app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException as StarletteHTTPException

from proxy import __version__
from proxy.admin import models, views
from proxy.admin import overview as overviews
from proxy.admin.carveout import add_carveout
from proxy.admin.control import GatewayControl
from proxy.admin.live import add_live
from proxy.admin.readiness import reasons_against
from proxy.admin.security import AdminPolicy, Guard
from proxy.admin.transactions import add_transactions
from proxy.errors import GatewayError
from proxy.observe.exposition import render
from proxy.observe.history import SAMPLE_SECONDS
from proxy.rules.question import QuestionError, read_question

_FOLDER = files("proxy.admin") / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


def _static_files(folder: Traversable, prefix: str) -> Iterator[tuple[str, tuple[Traversable, str]]]:
    for file in folder.iterdir():
        if file.is_dir():
            yield from _static_files(file, f"{prefix}{file.name}/")
        elif not file.name.endswith(".html"):
            yield prefix + file.name, (file, _TYPES[file.name[file.name.rindex(".") :]])


STATIC_FILES = {
    "/": (_FOLDER / "index.html", _TYPES[".html"]),
    "/docs": (_FOLDER / "docs.html", _TYPES[".html"]),
    **dict(_static_files(_FOLDER, "/static/")),
}
"""Path to file and type; nothing comes from elsewhere, so that the two pages work without the internet."""

_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": models.ApiError, "description": "The token is missing or wrong."},
    403: {
        "model": models.ApiError,
        "description": "Unknown Host, foreign Origin, or writes are not allowed.",
    },
}
_INVALID: dict[int | str, dict[str, Any]] = {
    422: {"model": models.ApiError, "description": "The request to explain is not one a client could send."}
}
_NO_TABLE: dict[int | str, dict[str, Any]] = {
    503: {"model": models.ApiError, "description": "No table has been loaded."}
}


def create_admin(
    gateway: GatewayControl,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    allowed_hosts: Iterable[str] = (),
) -> FastAPI:
    """Return the admin app of this gateway. It must run on the gateway's event loop.

    Args:
        host: The address or name that the admin port listens on.
        token: Of STRANGLER_ADMIN_TOKEN; without one, writes are allowed on loopback only.
        allowed_hosts: Further host names it is called by, such as its container's.
    """
    app = FastAPI(
        title="Strangler Fig admin API",
        version=__version__,
        description="The gateway's rules, targets and counts; writes need the token.",
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Guard, policy=AdminPolicy(host, token, allowed_hosts))
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    _add_probes(app, gateway)
    _add_views(app, gateway)
    add_live(app, gateway, _only(_REFUSALS, 403))
    _add_public_keys(app, gateway)
    add_carveout(app, gateway)
    _add_explain(app, gateway)
    _add_reload(app, gateway)
    add_transactions(app, gateway)
    _add_pages(app)
    return app


def _add_probes(app: FastAPI, gateway: GatewayControl) -> None:
    @app.get("/livez", tags=["probes"])
    async def livez() -> models.Alive:
        """Answers as long as the process does."""
        return models.Alive()

    @app.get("/readyz", tags=["probes"], responses={503: {"model": models.Readiness}})
    async def readyz(response: Response) -> models.Readiness:
        """A table serves, and every target group of a default forward has a healthy target."""
        reasons = reasons_against(gateway.runtime, is_listening=gateway.is_listening)
        response.status_code = 503 if reasons else 200
        return models.Readiness(ready=not reasons, reasons=reasons)

    @app.get(
        "/metrics",
        tags=["probes"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}},
    )
    async def metrics(request: Request) -> Response:
        """Prometheus text, or OpenMetrics when the Accept header asks for it."""
        openmetrics = "application/openmetrics-text" in request.headers.get("accept", "")
        snapshot = await gateway.metrics_snapshot()
        # A long table takes tens of milliseconds, which requests should not wait for.
        body, content_type = await asyncio.to_thread(render, snapshot, openmetrics=openmetrics)
        return Response(body, headers={"content-type": content_type})


def _add_views(app: FastAPI, gateway: GatewayControl) -> None:
    started_at = time.monotonic()

    @app.get("/api/status", tags=["state"], responses=_only(_REFUSALS, 403))
    async def status() -> models.Status:
        """Version, uptime, the last reload and the sums of everything."""
        return models.Status(
            version=__version__,
            uptime_seconds=round(time.monotonic() - started_at, 3),
            reload=views.reload_status(gateway.reload_state),
            totals=views.totals(await gateway.metrics_snapshot()),
        )

    @app.get("/api/overview", tags=["state"], responses=_only(_REFUSALS, 403))
    async def overview(
        since: Annotated[float, Query(description="Only points later than this, in seconds since the epoch.")] = 0.0,
    ) -> overviews.Overview:
        """The last ten minutes, the routes of the last one, and what somebody should look at."""
        return overviews.overview(
            gateway.runtime,
            gateway.history,
            gateway.reload_state,
            now=time.time(),
            sample_seconds=SAMPLE_SECONDS,
            since=since,
        )

    @app.get("/api/rules", tags=["state"], responses=_only(_REFUSALS, 403))
    async def rules() -> models.Rules:
        """Listeners and their rules in the order they are tried, with hits and durations."""
        return views.rules(gateway.runtime, await gateway.metrics_snapshot())

    @app.get("/api/target-groups", tags=["state"], responses=_only(_REFUSALS, 403))
    async def target_groups() -> models.TargetGroups:
        """Target groups, their targets and their health."""
        return views.target_groups(gateway.runtime)


def _add_public_keys(app: FastAPI, gateway: GatewayControl) -> None:
    @app.get(
        "/api/oidc-public-keys/{kid}",
        tags=["state"],
        response_class=Response,
        responses={
            **_only(_REFUSALS, 403),
            200: {"content": {"application/x-pem-file": {}}},
            404: {"model": models.ApiError, "description": "Nothing is signed with such a key."},
        },
    )
    async def oidc_public_key(kid: str) -> Response:
        """The key with which a target checks `x-amzn-oidc-data`; its id is the `kid` in the token's header."""
        key = gateway.oidc_public_key(kid)
        if key is None:
            raise HTTPException(404, "no key has this id")
        return Response(key, headers={"content-type": "application/x-pem-file"})


def _add_explain(app: FastAPI, gateway: GatewayControl) -> None:
    responses = {**_only(_REFUSALS, 403), **_INVALID, **_NO_TABLE}

    @app.get("/api/explain", tags=["explain"], responses=responses)
    async def explain(question: Annotated[models.ExplainQuestion, Query()]) -> models.Explanation:
        """Which rule takes this request, and why each earlier one does not; sends nothing."""
        return answer(question)

    @app.post("/api/explain", tags=["explain"], responses=responses)
    async def explain_json(question: models.ExplainQuestion) -> models.Explanation:
        """The same for a question in JSON; changes nothing, so it needs no token."""
        return answer(question)

    def answer(question: models.ExplainQuestion) -> models.Explanation:
        runtime = gateway.runtime
        if runtime is None:
            raise HTTPException(503, "no table has been loaded")
        try:
            asked = read_question(
                [listener.config for listener in runtime.listeners.values()],
                method=question.method,
                url=question.url,
                target=question.target,
                headers=question.header,
                source_ip=question.source_ip,
                listener=question.listener,
            )
        except QuestionError as error:
            raise HTTPException(422, f"{error.field}: {error}") from None
        try:
            document = gateway.explain(asked)
        except GatewayError as error:
            raise HTTPException(422, f"the gateway would answer this request with {error.status}: {error}") from None
        return models.Explanation.model_validate(dict(document))


def _add_reload(app: FastAPI, gateway: GatewayControl) -> None:
    @app.post(
        "/api/reload",
        tags=["writes"],
        response_model=models.ReloadReport,
        # Only so that the API's document tells of the token: the guard has looked at it before.
        dependencies=[Security(HTTPBearer(auto_error=False))],
        responses={
            **_REFUSALS,
            422: {"model": models.CheckReport, "description": "The table is bad; the one before serves."},
        },
    )
    async def reload() -> Response:
        """Read routes.yaml again. A table with a problem changes nothing."""
        result = await gateway.reload()
        problems = [models.ProblemReport.of(problem) for problem in result.problems]
        if not result.ok:
            return JSONResponse(models.CheckReport(ok=False, problems=problems).model_dump(), 422)
        report = models.ReloadReport(ok=True, problems=problems, changed=result.changed)
        return JSONResponse(report.model_dump())


def _add_pages(app: FastAPI) -> None:
    def add(path: str, body: bytes, content_type: str) -> None:
        async def page() -> Response:
            return Response(body, headers={"content-type": content_type})

        app.add_api_route(path, page, include_in_schema=False)

    for path, (file, content_type) in STATIC_FILES.items():
        add(path, file.read_bytes(), content_type)


def _only(responses: dict[int | str, dict[str, Any]], *codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: responses[code] for code in codes}


async def _invalid_request(request: Request, error: Exception) -> Response:
    """Name each field that is wrong, in one sentence."""
    if not isinstance(error, RequestValidationError):
        raise error
    details = error.errors()
    message = "; ".join(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in details)
    return JSONResponse({"error": message[:2000]}, 422)


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, StarletteHTTPException):
        raise error
    return JSONResponse({"error": error.detail}, error.status_code, dict(error.headers or {}))

"""The users API, answer for answer as the monolith gives it."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, SecretStr, StringConstraints

from extracted_services.users.delivery import Delivery
from extracted_services.users.events import user_signed_up
from extracted_services.users.limits import BodyLimit
from extracted_services.users.outbox import OutboxWorker
from extracted_services.users.passwords import hash_password, verify_password
from extracted_services.users.request_log import RequestLog
from extracted_services.users.store import AddressTakenError, Store
from extracted_services.users.tracing import current_trace, trace_of

BODY_LIMIT = 64 * 1024
MAX_REPORTED_PROBLEMS = 20

Id = Annotated[int, Field(ge=1, lt=10**12)]
Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[int, Query(ge=0, lt=10**12, description="list what comes after this id")]
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$"),
]
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=254,
        pattern=r"^[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$",
    ),
]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[0-9]{6,15}$")]
Password = Annotated[SecretStr, Field(min_length=8, max_length=128)]

# Verified when the address is unknown, so that the time of the answer does not tell which addresses exist.
_NOBODYS_HASH = hash_password(secrets.token_hex())

router = APIRouter(prefix="/api/users", tags=["users"])


class Signup(BaseModel):
    """The body of a signup. Phone numbers are in E.164 form."""

    email: Email
    name: Line
    password: Password
    city: Line
    phone: Phone | None = None


class Login(BaseModel):
    """The body of a login."""

    email: Email
    password: Password


async def store_of(request: Request) -> Store:
    """Return the store that the application was created with."""
    store = request.app.state.store
    assert isinstance(store, Store)
    return store


async def outbox_of(request: Request) -> OutboxWorker:
    """Return the worker that the application was created with."""
    outbox = request.app.state.outbox
    assert isinstance(outbox, OutboxWorker)
    return outbox


Users = Annotated[Store, Depends(store_of)]
Outbox = Annotated[OutboxWorker, Depends(outbox_of)]


@router.post("", status_code=201)
def sign_up(signup: Signup, store: Users, outbox: Outbox, request: Request, response: Response) -> dict[str, Any]:
    """Create a user; 409 if the address is taken. The news of it is kept, not yet delivered."""
    if store.has_address(signup.email):
        raise _address_taken()
    password_hash = hash_password(signup.password.get_secret_value())
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    values = (signup.email, signup.name, signup.phone, signup.city, created_at, password_hash)
    trace = current_trace() or trace_of(request.headers)
    try:
        user = store.add_user(values, lambda user: user_signed_up(user, trace.headers()))
    except AddressTakenError as error:
        raise _address_taken() from error
    outbox.wake()
    response.headers["Location"] = f"/api/users/{user['id']}"
    return user


@router.post("/login")
def log_in(login: Login, store: Users) -> dict[str, Any]:
    """Return the user if the password is right, else 401."""
    found = store.user_with_password(login.email)
    stored = found[1] if found else _NOBODYS_HASH
    if not verify_password(login.password.get_secret_value(), stored) or found is None:
        raise HTTPException(401, "wrong e-mail address or password", {"WWW-Authenticate": "Password"})
    return found[0]


@router.get("")
def list_users(store: Users, limit: Limit = 25, after: After = 0) -> dict[str, Any]:
    """List users by id."""
    return {"users": store.users(after, limit)}


@router.get("/{user_id}")
def read_user(user_id: Id, store: Users) -> dict[str, Any]:
    """Return one user."""
    user = store.user(user_id)
    if user is None:
        raise HTTPException(404, f"there is no user {user_id}")
    return user


async def health() -> dict[str, str]:
    """Answer at once: it tells that the process lives."""
    return {"status": "ok"}


async def report_invalid_request(_: Request, error: Exception) -> JSONResponse:
    """Answer 422 with places and reasons, without the refused input, which may be a password."""
    assert isinstance(error, RequestValidationError)
    problems: list[dict[str, Any]] = [
        {"loc": problem["loc"], "msg": problem["msg"], "type": problem["type"]} for problem in error.errors()
    ]
    return JSONResponse({"detail": problems[:MAX_REPORTED_PROBLEMS]}, status_code=422)


def create_app(data: Path, delivery: Delivery) -> FastAPI:
    """Return the service; its data folder is made and seeded when the application starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        store = Store(data)
        store.prepare()
        outbox = OutboxWorker(store, delivery)
        app.state.store = store
        app.state.outbox = outbox
        outbox.start()
        yield
        outbox.stop()
        store.close()

    app = FastAPI(title="Users", lifespan=lifespan)
    app.add_middleware(BodyLimit, limit=BODY_LIMIT)
    app.add_middleware(RequestLog)
    app.add_exception_handler(RequestValidationError, report_invalid_request)
    app.add_api_route("/health", health)
    app.include_router(router)
    return app


def _address_taken() -> HTTPException:
    return HTTPException(409, "this e-mail address is taken")

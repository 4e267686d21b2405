"""The payments API, answer for answer as the monolith gives it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from extracted_services.payments.cards import Card, load_card_key, tokenize
from extracted_services.payments.limits import BodyLimit
from extracted_services.payments.request_log import RequestLog
from extracted_services.payments.store import AlreadyPaidError, NoSuchOrderError, Store

BODY_LIMIT = 64 * 1024
MAX_REPORTED_PROBLEMS = 20

# Shorter than any card number, so that none is repeated as "there is no payment ...".
Id = Annotated[int, Field(ge=1, lt=10**12)]

router = APIRouter(prefix="/api/payments", tags=["payments"])


class NewPayment(BaseModel):
    """The body of a payment: the order is always paid in full."""

    order_id: Id
    card: Card


async def store_of(request: Request) -> Store:
    """Return the store that the application was created with."""
    store = request.app.state.store
    assert isinstance(store, Store)
    return store


Payments = Annotated[Store, Depends(store_of)]


@router.post("", status_code=201)
def pay(payment: NewPayment, request: Request, store: Payments, response: Response) -> dict[str, Any]:
    """Pay an order; 422 for an unknown order or bad card details, 409 if the order is paid already."""
    card = tokenize(payment.card, request.app.state.card_key)
    try:
        paid = store.pay(payment.order_id, card, datetime.now(UTC).isoformat(timespec="seconds"))
    except NoSuchOrderError:
        raise HTTPException(422, f"there is no order {payment.order_id}") from None
    except AlreadyPaidError:
        raise HTTPException(409, f"order {payment.order_id} is already paid") from None
    response.headers["Location"] = f"/api/payments/{paid['id']}"
    return paid


@router.get("/{payment_id}")
def read_payment(payment_id: Id, store: Payments) -> dict[str, Any]:
    """Return one payment."""
    payment = store.payment(payment_id)
    if payment is None:
        raise HTTPException(404, f"there is no payment {payment_id}")
    return payment


async def health() -> dict[str, str]:
    """Answer at once: it tells that the process lives."""
    return {"status": "ok"}


async def report_invalid_request(_: Request, error: Exception) -> JSONResponse:
    """Answer 422 with places and reasons, without the refused input, which may be a card number."""
    assert isinstance(error, RequestValidationError)
    problems: list[dict[str, Any]] = [
        {"loc": problem["loc"], "msg": problem["msg"], "type": problem["type"]} for problem in error.errors()
    ]
    return JSONResponse({"detail": problems[:MAX_REPORTED_PROBLEMS]}, status_code=422)


def create_app(data: Path) -> FastAPI:
    """Return the service; its data folder is made and seeded when the application starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.store = Store(data)
        app.state.store.prepare()
        app.state.card_key = load_card_key(data / "card.key")
        yield
        app.state.store.close()

    app = FastAPI(title="Payments", lifespan=lifespan)
    app.add_middleware(BodyLimit, limit=BODY_LIMIT)
    app.add_middleware(RequestLog)
    app.add_exception_handler(RequestValidationError, report_invalid_request)
    app.add_api_route("/health", health)
    app.include_router(router)
    return app

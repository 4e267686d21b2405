"""The application: everything in one process, which is the point."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError

from monolith_stub import (
    catalogue,
    clicks,
    contacts,
    images,
    orders,
    pages,
    payments,
    recommendations,
    reports,
    users,
)
from monolith_stub.api import Shop, report_invalid_request
from monolith_stub.database import Database
from monolith_stub.limits import BodyLimit
from monolith_stub.mail import MaildirMailer, SmtpMailer
from monolith_stub.request_log import RequestLog
from monolith_stub.settings import Settings

MEGABYTE = 1024 * 1024
BODY_LIMITS = {"/api/contacts": 10 * MEGABYTE, "/api/images": 20 * MEGABYTE}
DEFAULT_BODY_LIMIT = 64 * 1024


def create_app(settings: Settings) -> FastAPI:
    """Return the shop; its data folder is made and seeded when the application starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        settings.data.mkdir(parents=True, exist_ok=True)
        shop = Shop(
            database=Database(settings.data / "shop.sqlite3"),
            mailer=SmtpMailer(settings.smtp_host, settings.smtp_port)
            if settings.smtp_host
            else MaildirMailer(settings.data / "mail"),
            images=settings.data / "images",
            card_key=payments.load_card_key(settings.data / "card.key"),
        )
        shop.images.mkdir(exist_ok=True)
        shop.database.prepare()
        schedule = reports.NightlySchedule(shop.database, settings.report_at) if settings.report_at else None
        app.state.shop = shop
        if schedule:
            schedule.start()
        yield
        if schedule:
            schedule.stop()
        shop.database.close()

    app = FastAPI(title="The shop", lifespan=lifespan)
    app.add_middleware(BodyLimit, limits=BODY_LIMITS, default=DEFAULT_BODY_LIMIT)
    app.add_middleware(RequestLog)
    app.add_exception_handler(RequestValidationError, report_invalid_request)
    for module in (pages, users, catalogue, orders, contacts, recommendations, payments, images, reports, clicks):
        app.include_router(module.router)
    return app

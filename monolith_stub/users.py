"""Users: sign up, log in, read, list."""

import secrets
import sqlite3
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field, SecretStr, StringConstraints

from monolith_stub.api import After, Here, Id, Limit, Line, Shop, not_found, now
from monolith_stub.mail import MailError, welcome_mail
from monolith_stub.passwords import hash_password, verify_password

router = APIRouter(prefix="/api/users", tags=["users"])

COLUMNS = "id, email, name, phone, city, created_at"
# Verified when the address is unknown, so that the time of the answer does not tell which addresses exist.
_NOBODYS_HASH = hash_password(secrets.token_hex())

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


@router.post("", status_code=201)
def sign_up(signup: Signup, shop: Here, response: Response) -> dict[str, Any]:
    """Create a user and send the welcome mail before answering; 409 if the address is taken.

    Without its mail a signup is not accepted (503): the user is removed again, so that a second
    attempt is possible. This coupling is what a carved-out service gets rid of.
    """
    with shop.database.read() as connection:
        if connection.execute("SELECT 1 FROM users WHERE email = ?", (signup.email,)).fetchone():
            raise _address_taken()
    password_hash = hash_password(signup.password.get_secret_value())
    user = _insert(shop, signup, password_hash)
    with shop.database.read() as connection:
        mail = welcome_mail(signup.email, signup.name, _favourites(connection, signup.city))
    try:
        shop.mailer.send(mail)
    except MailError as error:
        with shop.database.write() as connection:
            connection.execute("DELETE FROM users WHERE id = ?", (user["id"],))
        raise HTTPException(503, f"the welcome mail could not be sent, try again later ({error})") from error
    response.headers["Location"] = f"/api/users/{user['id']}"
    return user


@router.post("/login")
def log_in(login: Login, shop: Here) -> dict[str, Any]:
    """Return the user if the password is right, else 401."""
    with shop.database.read() as connection:
        row = connection.execute(
            f"SELECT {COLUMNS}, password_hash FROM users WHERE email = ?", (login.email,)
        ).fetchone()
    stored = row["password_hash"] if row else _NOBODYS_HASH
    if not verify_password(login.password.get_secret_value(), stored) or row is None:
        raise HTTPException(401, "wrong e-mail address or password", {"WWW-Authenticate": "Password"})
    return {key: row[key] for key in row.keys() if key != "password_hash"}  # noqa: SIM118


@router.get("")
def list_users(shop: Here, limit: Limit = 25, after: After = 0) -> dict[str, Any]:
    """List users by id."""
    with shop.database.read() as connection:
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM users WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        ).fetchall()
    return {"users": [dict(row) for row in rows]}


@router.get("/{user_id}")
def read_user(user_id: Id, shop: Here) -> dict[str, Any]:
    """Return one user."""
    with shop.database.read() as connection:
        row = connection.execute(f"SELECT {COLUMNS} FROM users WHERE id = ?", (user_id,)).fetchone()
    if row is None:
        raise not_found("user", user_id)
    return dict(row)


def _insert(shop: Shop, signup: Signup, password_hash: str) -> dict[str, Any]:
    try:
        with shop.database.write() as connection:
            row = connection.execute(
                "INSERT INTO users (email, name, phone, city, created_at, password_hash) "
                f"VALUES (?, ?, ?, ?, ?, ?) RETURNING {COLUMNS}",
                (signup.email, signup.name, signup.phone, signup.city, now(), password_hash),
            ).fetchone()
            return dict(row)
    except sqlite3.IntegrityError as error:
        raise _address_taken() from error


def _address_taken() -> HTTPException:
    return HTTPException(409, "this e-mail address is taken")


def _favourites(connection: sqlite3.Connection, city: str) -> list[str]:
    """Return what this city buys more than others do: it takes all orders of all users to know."""
    rows = connection.execute(
        """SELECT name FROM products JOIN (
            SELECT product_id, SUM(quantity) AS everywhere, SUM(quantity * (city = ?)) AS here
            FROM order_lines JOIN orders ON orders.id = order_id JOIN users ON users.id = user_id
            GROUP BY product_id) ON product_id = products.id
        ORDER BY here * here * 1.0 / everywhere DESC, products.id LIMIT 5""",
        (city,),
    )
    return [row["name"] for row in rows]

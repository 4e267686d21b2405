"""Contact list upload: a big payload, hashed and matched against the users on the server."""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from monolith_stub.api import Here, Id, not_found

router = APIRouter(prefix="/api/contacts", tags=["contacts"])

Text = Annotated[str, Field(max_length=254)]


class Contact(BaseModel):
    """One entry of an address book, as a telephone has it: spelled in any way."""

    name: Text = ""
    emails: Annotated[list[Text], Field(max_length=20)] = []
    phones: Annotated[list[Text], Field(max_length=20)] = []


class ContactList(BaseModel):
    """The body of an upload (at most 10 MB)."""

    contacts: Annotated[list[Contact], Field(max_length=100_000)]


@router.post("/{user_id}")
def upload_contacts(user_id: Id, upload: ContactList, shop: Here) -> dict[str, Any]:
    """Replace the contact list of a user and tell which of the contacts are users too.

    Only hashes are stored. The hashes of all users are computed anew for each upload, since any of
    them may have changed.
    """
    hashes = {
        contact_hash(value)
        for contact in upload.contacts
        for value in (*contact.emails, *contact.phones)
        if value.strip()
    }
    with shop.database.write() as connection:
        if not connection.execute("SELECT 1 FROM users WHERE id = ?", (user_id,)).fetchone():
            raise not_found("user", user_id)
        connection.execute("DELETE FROM contact_hashes WHERE user_id = ?", (user_id,))
        connection.executemany(
            "INSERT INTO contact_hashes VALUES (?, ?)", ((user_id, value) for value in sorted(hashes))
        )
        users = connection.execute("SELECT id, name, email, phone FROM users ORDER BY id").fetchall()
    matched = [
        {"id": user["id"], "name": user["name"]}
        for user in users
        if user["id"] != user_id
        and (contact_hash(user["email"]) in hashes or (user["phone"] and contact_hash(user["phone"]) in hashes))
    ]
    return {"contacts": len(upload.contacts), "hashes": len(hashes), "matched": matched}


def contact_hash(value: str) -> bytes:
    """Return the SHA-256 of an e-mail address in lower case, or of a phone number in E.164 form."""
    value = value.strip().lower()
    if "@" not in value:
        digits = "".join(character for character in value if character.isascii() and character.isdigit())
        value = "+" + (digits[2:] if digits.startswith("00") else digits)
    return hashlib.sha256(value.encode()).digest()

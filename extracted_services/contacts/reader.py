"""A contact list, read as it comes: one contact is in memory at a time, never the list."""

from collections.abc import Callable
from typing import Annotated, Any

import ijson
from ijson.common import ObjectBuilder
from pydantic import BaseModel, Field, ValidationError

MAX_CONTACTS = 100_000
MAX_PROBLEMS = 20
MAX_PART_BYTES = 1024 * 1024
"""Between the ends of two contacts."""
_OPENING = ("start_map", "start_array")
_CLOSING = ("end_map", "end_array")

Text = Annotated[str, Field(max_length=254)]
Problem = dict[str, Any]


class Contact(BaseModel):
    """One entry of an address book, as a telephone has it: spelled in any way."""

    name: Text = ""
    emails: Annotated[list[Text], Field(max_length=20)] = []
    phones: Annotated[list[Text], Field(max_length=20)] = []


class PartTooLargeError(Exception):
    """So many bytes, and no contact has ended."""


class ContactReader:
    """Takes the bytes of `{"contacts": [...]}` in any pieces.

    Attributes:
        count: How many contacts there were.
        problems: What is wrong with the list, first things first, at most `MAX_PROBLEMS`; empty if nothing is.
    """

    def __init__(self, take: Callable[[Contact], None], restart: Callable[[], None]) -> None:
        """Begin.

        Args:
            take: Called with each valid contact.
            restart: Called when what was taken so far is void: of two `contacts` in an object the last one counts.
        """
        self.count = 0
        self.problems: list[Problem] = [_problem(["body"], "Field required", "missing")]
        self._take = take
        self._restart = restart
        self._events: Any = ijson.sendable_list()
        self._parser: Any = ijson.basic_parse_coro(self._events)
        self._depth = 0
        self._key = ""
        self._builder: ObjectBuilder | None = None
        self._pending_bytes = 0
        self._broken = False
        self._empty = True

    def feed(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            PartTooLargeError: No contact has ended for more than `MAX_PART_BYTES`.
        """
        if not piece:
            return  # The parser would take it for the end.
        self._empty = False
        self._pending_bytes += len(piece)
        if not self._broken:
            self._parse(lambda: self._parser.send(piece))
        if self._pending_bytes > MAX_PART_BYTES:
            raise PartTooLargeError

    def finish(self) -> None:
        """Say that there is no more; `problems` is then final."""
        if not self._broken and not self._empty:
            self._parse(self._parser.close)
        if not self._broken and self.count > MAX_CONTACTS:
            message = f"List should have at most {MAX_CONTACTS} items after validation, not {self.count}"
            self.problems = [_problem(["body", "contacts"], message, "too_long")]

    def _parse(self, step: Callable[[], None]) -> None:
        try:
            step()
        # SystemError: the parser's, for a number of more digits than Python reads.
        except (ijson.JSONError, ValueError, SystemError):
            self._broken = True
            self.problems = [_problem(["body"], "JSON decode error", "json_invalid")]
        else:
            for event, value in self._events:
                self._on_event(event, value)
        del self._events[:]

    def _on_event(self, event: str, value: object) -> None:
        if event == "map_key" and self._depth == 1:
            self._key = str(value)
            return
        self._depth -= event in _CLOSING
        if self._builder is not None or (self._depth == 2 and self._key == "contacts" and event not in _CLOSING):
            self._build(event, value)
        elif self._depth == 0 and event not in _CLOSING:
            self._begin(event)
        elif self._depth == 1 and self._key == "contacts" and event not in _CLOSING:
            self._begin_contacts(event)
        self._depth += event in _OPENING

    def _begin(self, event: str) -> None:
        if event == "start_map":
            self.problems = [_problem(["body", "contacts"], "Field required", "missing")]
        else:
            message = "Input should be a valid dictionary or object to extract fields from"
            self.problems = [_problem(["body"], message, "model_attributes_type")]

    def _begin_contacts(self, event: str) -> None:
        if self.count:
            self._restart()
        self.count, self.problems = 0, []
        if event != "start_array":
            self._key = ""
            self.problems = [_problem(["body", "contacts"], "Input should be a valid list", "list_type")]

    def _build(self, event: str, value: object) -> None:
        self._builder = self._builder or ObjectBuilder()
        self._builder.event(event, value)
        if self._depth == 2 and event not in _OPENING:
            self._end_contact(self._builder.value)
            self._builder = None

    def _end_contact(self, value: object) -> None:
        self._pending_bytes = 0
        self.count += 1
        if self.count > MAX_CONTACTS or len(self.problems) >= MAX_PROBLEMS:
            return
        try:
            contact = Contact.model_validate(value, from_attributes=True)
        except ValidationError as error:
            place = ["body", "contacts", self.count - 1]
            found = [_problem([*place, *one["loc"]], one["msg"], one["type"]) for one in error.errors()]
            self.problems = [*self.problems, *found][:MAX_PROBLEMS]
        else:
            self._take(contact)


def _problem(place: list[Any], message: str, kind: str) -> Problem:
    return {"loc": place, "msg": message, "type": kind}

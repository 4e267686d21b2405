"""`docker compose --profile events up` for real: mail, report, images and clicks, each shifted there and back.

Needs docker with its compose plugin, or what the environment variable CONTAINERS_TOOL names (see containers.py).
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from containers import REPOSITORY, Containers, free_port, wait_for
from photos import photo

from proxy.config.edit import set_weights

pytestmark = pytest.mark.system

PROJECT = "strangler-events-test"
ONCE = ("users-setup", "email-setup", "uploads-setup", "clicks-setup")
SERVICES = (
    *("gateway", "monolith", "users", "aws", *ONCE),
    *("email", "nightly-report", "scheduler", "uploads", "functions"),
)
"""The profile, without what has no part in it: nothing may need the other extracted services."""
EVERY_MINUTE = """\
schedules:
  - name: nightly-report
    schedule_expression: rate(1 minute)
    command: [python, -m, extracted_services.nightly_report.task]
"""


@dataclass
class Events:
    """The running services and the table that they are routed by."""

    containers: Containers
    routes: Path
    web: httpx.Client
    admin: httpx.Client

    def edit(self, text: str) -> None:
        """Save the table as an editor does: a new file takes the place of the old one."""
        edited = self.routes.with_suffix(".new")
        edited.write_text(text)
        edited.replace(self.routes)

    def shift(self, rule: str, group: str, other: str) -> None:
        """Give `group` all of a rule with two groups."""
        self.edit(set_weights(self.routes.read_text(), rule, {group: 100, other: 0}))
        self.until(rule, group, 100)

    def shift_clicks(self, group: str) -> None:
        """Write another group into the rule `clicks`."""
        text, count = re.subn(r"(?<=forward: )\w+(?= +# or clicks)", group, self.routes.read_text())
        assert count == 1
        self.edit(text)
        self.until("clicks", group, 1)

    def until(self, rule: str, group: str, weight: int) -> None:
        """Wait until the gateway follows the table."""
        line = f'strangler_rule_weight{{listener="web",rule="{rule}",target_group="{group}"}} {weight}.0'
        wait_for(f"{rule} goes to {group}", 10, lambda: line in self.admin.get("/metrics").text)

    def sign_up(self, name: str) -> httpx.Response:
        body = {"email": f"{name}@example.com", "name": name, "password": "correct horse", "city": "Paris"}
        return self.web.post("/api/users", json=body)

    def mails(self, service: str) -> Counter[str]:
        """To whom the maildir of a service has mail, and how many."""
        script = "import glob; [print(open(path).read()) for path in glob.glob('/data/mail/new/*')]"
        lines = self.containers.execute(service, "python", "-c", script).splitlines()
        return Counter(line.removeprefix("To: ").partition("@")[0] for line in lines if line.startswith("To: "))

    def lines(self, service: str, *module: str) -> list[dict[str, Any]]:
        """What a command in a container prints, one JSON object a line."""
        return [json.loads(line) for line in self.containers.execute(service, "python", *module).splitlines()]


@pytest.fixture(scope="module")
def events() -> Iterator[Events]:
    ports = {name: free_port() for name in ("GATEWAY_PORT", "ADMIN_PORT")}
    with TemporaryDirectory(prefix="strangler-") as folder, ExitStack() as clients:
        # The user in the container is another one than ours.
        Path(folder).chmod(0o755)
        routes = Path(folder) / "routes.yaml"
        shutil.copyfile(REPOSITORY / "routes.yaml", routes)
        (Path(folder) / "schedules.yaml").write_text(EVERY_MINUTE)
        override = Path(folder) / "override.yml"
        soon = {"environment": {"SCHEDULER_SCHEDULES": "/soon/schedules.yaml"}, "volumes": [f"{folder}:/soon:ro"]}
        override.write_text(json.dumps({"services": {"scheduler": soon}}))
        environment = {"ROUTES_DIR": folder, **{name: str(port) for name, port in ports.items()}}
        files = ("-f", str(REPOSITORY / "docker-compose.yml"), "-f", str(override))
        containers = Containers(PROJECT, environment, *files, "--profile", "events")
        containers.remove()
        web, admin = (
            clients.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30))
            for port in ports.values()
        )
        try:
            containers.build(*SERVICES)
            containers.up(*SERVICES)
            yield Events(containers, routes, web, admin)
        except AssertionError as error:
            error.add_note("\n".join(containers.logs(service) for service in SERVICES))
            raise
        finally:
            containers.remove()


# The tests below are one story, told in the order of the file.


def test_all_of_it_comes_up_by_itself(events: Events) -> None:
    """Whatever the order is: nobody waits for anybody, and what makes topics and buckets tries until it can."""

    def healthy() -> set[str]:
        groups = events.admin.get("/api/target-groups").json()["target_groups"]
        return {group["name"] for group in groups if [each["state"] for each in group["targets"]] == ["healthy"]}

    wait_for("the targets are healthy", 90, lambda: healthy() == {"monolith", "users", "nightly-report", "uploads"})
    wait_for("all is set up", 60, lambda: not any(events.containers.containers(service) for service in ONCE))


def test_nothing_runs_as_root(events: Events) -> None:
    running = [service for service in SERVICES if service not in (*ONCE, "aws")]

    assert {events.containers.execute(service, "id", "-u").strip() for service in running} == {"10001"}
    assert events.containers.execute("aws", "id", "-u").strip() == "10001"


def test_before_the_shift_all_of_it_is_the_monolith_s(events: Events) -> None:
    click = events.web.post("/api/clicks", json={"page": "/before"})
    answers = [events.sign_up("before"), events.web.get("/api/reports/nightly"), upload(events), click]

    assert [answer.headers.get("X-Served-By") for answer in answers] == ["monolith"] * 4
    assert [answer.status_code for answer in answers] == [201, 200, 201, 202]
    assert events.mails("monolith")["before"] == 1


def test_a_signup_becomes_an_event_and_the_event_one_mail(events: Events) -> None:
    events.shift("signup", "users", "monolith")
    answer = events.sign_up("ada")

    assert (answer.status_code, answer.headers["X-Served-By"]) == (201, "users")
    wait_for("the mail", 60, lambda: events.mails("email")["ada"] == 1)
    assert events.mails("users") == {}


def test_a_worker_that_is_killed_loses_nothing_and_repeats_nothing(events: Events) -> None:
    names = [f"user-{number}" for number in range(12)]
    statuses = [events.sign_up(name).status_code for name in names[:6]]
    killed = events.containers.kill("email")
    statuses += [events.sign_up(name).status_code for name in names[6:]]
    events.containers.start(killed)

    # What it had in hand comes again after the queue's visibility timeout of 30 s.
    wait_for("every mail", 90, lambda: events.mails("email").keys() >= set(names))
    assert statuses == [201] * 12
    assert events.mails("email") == dict.fromkeys(("ada", *names), 1)


def test_signups_go_back_to_the_monolith(events: Events) -> None:
    events.shift("signup", "monolith", "users")

    assert events.sign_up("back").headers["X-Served-By"] == "monolith"
    assert events.mails("monolith")["back"] == 1
    assert events.mails("email")["back"] == 0


def test_an_image_is_resized_by_one_function_and_described_by_another(events: Events) -> None:
    events.shift("uploads", "uploads", "monolith")
    answer = upload(events)
    image = answer.json()
    thumbnail = f"/api/images/{image['id']}/thumb"

    assert (answer.status_code, answer.headers["X-Served-By"]) == (201, "uploads")
    wait_for("the thumbnail", 60, lambda: events.web.get(thumbnail).status_code == 200)
    assert events.web.get(thumbnail).content.startswith(b"\xff\xd8")
    script = "import boto3, json; print(json.dumps(boto3.client('dynamodb').scan(TableName='image-metadata')['Items']))"

    def described() -> dict[str, Any]:
        (items,) = events.lines("functions", "-c", script)
        return {item["image"]["S"]: (item["width"]["N"], item["height"]["N"]) for item in items}

    wait_for("its metadata", 60, lambda: str(image["id"]) in described())
    assert described() == {str(image["id"]): ("300", "200")}

    events.shift("uploads", "monolith", "uploads")
    assert upload(events).headers["X-Served-By"] == "monolith"
    assert events.web.get(thumbnail).headers["X-Served-By"] == "uploads", "it serves what it has taken"


def test_clicks_are_counted_and_a_poisoned_one_stops_nothing(events: Events) -> None:
    events.shift_clicks("clicks")
    answers = [events.web.post("/api/clicks", json={"page": f"/{number % 3}"}) for number in range(30)]
    answers.append(events.web.post("/api/clicks", json={"page": "no path", "page_of": "poison"}))
    answers += [events.web.post("/api/clicks", json={"page": f"/{number % 3}"}) for number in range(30)]
    events.shift_clicks("monolith")
    back = events.web.post("/api/clicks", json={"page": "/back"})

    def counted() -> Counter[str]:
        counts: Counter[str] = Counter()
        for line in events.lines("functions", "-m", "extracted_services.clicks.counted"):
            counts[line["page"]] += line["clicks"]
        return counts

    given_up: list[dict[str, Any]] = []

    def is_told() -> bool:
        # What was read is hidden for a while, so that it is kept here.
        given_up.extend(events.lines("functions", "-m", "extracted_services.clicks.failed"))
        return bool(given_up)

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 61
    assert (back.status_code, back.headers["X-Served-By"]) == (202, "monolith")
    # A shard is held up by the poisoned record for its five attempts, half a minute.
    wait_for("every click is counted", 120, lambda: counted().total() == 60)
    assert counted() == {"/0": 20, "/1": 20, "/2": 20}
    wait_for("the failure destination is told", 60, is_told)
    assert {line["partition_key"] for line in given_up} == {"no path"}


def test_the_scheduler_starts_the_report_and_its_result_is_read(events: Events) -> None:
    events.shift("nightly-report", "nightly-report", "monolith")

    def days() -> list[str]:
        answer = events.web.get("/api/reports/nightly")
        assert answer.headers["X-Served-By"] == "nightly-report"
        listed: list[str] = answer.json()["days"]
        return listed

    wait_for("a report", 90, days)
    report = events.web.get(f"/api/reports/nightly/{days()[0]}")
    assert report.status_code == 200
    assert report.json()["day"] == days()[0]

    events.shift("nightly-report", "monolith", "nightly-report")
    own = events.web.post("/api/reports/nightly")
    assert (own.status_code, own.headers["X-Served-By"]) == (201, "monolith")


def upload(events: Events) -> httpx.Response:
    return events.web.post("/api/images", content=photo(), headers={"Content-Type": "image/jpeg"})

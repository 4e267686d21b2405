"""docker-compose.yml for real: built, started, shifted, scaled up and down, and removed again.

Needs docker with its compose plugin, or what the environment variable CONTAINERS_TOOL names (see containers.py).
"""

import json
import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import yaml
from containers import Containers, free_port, wait_for

pytestmark = pytest.mark.system

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = "strangler-test"
SHIFT_SECONDS = 2.0
BEHIND_THE_GATEWAY = ("monolith", "users", "recommendations", "contacts", "payments")


@dataclass
class Demo:
    """The running services and the table that they are routed by."""

    containers: Containers
    routes: Path
    web: httpx.Client
    admin: httpx.Client
    prometheus: httpx.Client

    def served_by(self, path: str, **headers: str) -> str:
        response = self.web.get(path, headers=headers)
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text}"
        return response.headers["X-Served-By"]

    def give_users(self, weight: int) -> None:
        """Edit the table as an editor does: a new file takes the place of the old one."""
        lines = self.routes.read_text().splitlines(keepends=True)
        (at,) = [number for number, line in enumerate(lines) if "PLAY HERE" in line]
        lines[at] = f"        forward: {{monolith: {100 - weight}, users: {weight}}}  # PLAY HERE\n"
        edited = self.routes.with_suffix(".new")
        edited.write_text("".join(lines))
        edited.replace(self.routes)

    def targets(self, group: str) -> list[dict[str, Any]]:
        groups = {each["name"]: each for each in self.admin.get("/api/target-groups").json()["target_groups"]}
        targets: list[dict[str, Any]] = groups[group]["targets"]
        return targets

    def states(self, group: str) -> Counter[str]:
        return Counter(target["state"] for target in self.targets(group))

    def query(self, expr: str) -> float:
        """The value of the one series that an expression has in Prometheus, 0 without one."""
        result = self.prometheus.get("/api/v1/query", params={"query": expr}).json()["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    ports = {name: free_port() for name in ("GATEWAY_PORT", "ADMIN_PORT", "PROMETHEUS_PORT")}
    with TemporaryDirectory(prefix="strangler-") as folder, ExitStack() as clients:
        # The user in the container is another one than ours.
        Path(folder).chmod(0o755)
        routes = Path(folder) / "routes.yaml"
        shutil.copyfile(REPOSITORY / "routes.yaml", routes)
        containers = Containers(PROJECT, {"ROUTES_DIR": folder, **{name: str(port) for name, port in ports.items()}})
        containers.remove()
        web, admin, prometheus = (
            clients.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False))
            for port in ports.values()
        )
        demo = Demo(containers, routes, web, admin, prometheus)
        try:
            containers.build("gateway", *BEHIND_THE_GATEWAY)
            # The gateway first and alone: it has to wait for the others.
            containers.up("gateway", "prometheus")
            wait_for("the gateway answers", 60, lambda: demo.admin.get("/livez").status_code == 200)
            yield demo
        except AssertionError as error:
            error.add_note(containers.logs("gateway"))
            raise
        finally:
            containers.remove()


@contextmanager
def steady_traffic(demo: Demo, path: str) -> Iterator[Counter[int]]:
    """Ask for `path` until the block ends; what is yielded counts the statuses."""
    stop = threading.Event()
    statuses: Counter[int] = Counter()

    def ask() -> None:
        with httpx.Client(base_url=demo.web.base_url, trust_env=False, timeout=30) as client:
            while not stop.wait(0.02):
                statuses[client.get(path).status_code] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        thread.join()


# The tests below are one story, told in the order of the file.


def test_the_gateway_lives_before_its_targets_do(demo: Demo) -> None:
    assert demo.web.get("/").status_code == 503
    assert demo.admin.get("/readyz").status_code == 503


def test_it_serves_as_soon_as_they_are_there(demo: Demo) -> None:
    demo.containers.up(*BEHIND_THE_GATEWAY)

    for group in BEHIND_THE_GATEWAY:
        wait_for(f"{group} is healthy", 60, lambda group=group: demo.states(group) == {"healthy": 1})
    assert demo.admin.get("/readyz").status_code == 200


@pytest.mark.parametrize("service", ["gateway", *BEHIND_THE_GATEWAY])
def test_nothing_runs_as_root(demo: Demo, service: str) -> None:
    assert demo.containers.execute(service, "id", "-u").strip() == "10001"


@pytest.mark.parametrize("service", ["gateway", *BEHIND_THE_GATEWAY])
def test_the_health_check_of_an_image_passes(demo: Demo, service: str) -> None:
    build = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"][service]["build"]
    dockerfile = (REPOSITORY / ("Dockerfile" if build == "." else build["dockerfile"])).read_text()
    (command,) = re.findall(r"^HEALTHCHECK [^\[]*CMD (\[.*\])$", dockerfile, re.MULTILINE)

    demo.containers.execute(service, *json.loads(command))


def test_requests_go_where_the_table_says(demo: Demo) -> None:
    assert demo.served_by("/") == "monolith"
    assert demo.served_by("/api/recommendations/users/1/friends") == "recommendations"
    assert demo.served_by("/api/users/1", Host="users.mycompany.com") == "users"
    assert demo.served_by("/api/users/1", **{"User-Agent": "mobile", "Version": "1.0.0"}) == "monolith"
    assert demo.web.get("/?utm_source=bot").status_code == 403
    moved = demo.web.get("/api/users/1?x=1", headers={"Host": "www.mycompany.com"})
    assert (moved.status_code, moved.headers["Location"]) == (301, "http://mycompany.com:8080/api/users/1?x=1")


def test_the_admin_port_reads_but_does_not_write_without_a_token(demo: Demo) -> None:
    assert demo.admin.get("/api/status").status_code == 200
    assert demo.admin.post("/api/reload").status_code == 403


@pytest.mark.parametrize(("weight", "taker"), [(100, "users"), (0, "monolith")])
def test_an_edit_of_the_table_shifts_traffic_within_2_seconds(demo: Demo, weight: int, taker: str) -> None:
    def takers() -> set[str]:
        return {demo.served_by("/api/users/1") for _ in range(20)}

    demo.give_users(weight)

    wait_for(f"{taker} takes all", SHIFT_SECONDS, lambda: takers() == {taker})


def test_three_containers_are_three_targets_which_all_take_requests(demo: Demo) -> None:
    demo.give_users(100)
    demo.containers.scale("users", 3)
    wait_for("three targets are healthy", 60, lambda: demo.states("users") == {"healthy": 3})
    wait_for("users takes all", 10, lambda: {demo.served_by("/api/users/1") for _ in range(20)} == {"users"})
    before = {target["id"]: target["requests"] for target in demo.targets("users")}
    for _ in range(30):
        demo.served_by("/api/users/1")
    after = {target["id"]: target["requests"] for target in demo.targets("users")}

    assert {after[target] - before[target] for target in before} == {10}
    healthy = 'target_group:strangler_target_healthy:sum{target_group="users"}'
    wait_for("Prometheus has recorded them", 30, lambda: demo.query(healthy) == 3)


def test_what_one_container_stores_another_can_read(demo: Demo) -> None:
    made = [
        demo.web.post(
            "/api/users",
            headers={"Host": "users.mycompany.com"},
            json={"email": f"ada.{n}@example.com", "name": "Ada", "password": "correct horse", "city": "Paris"},
        )
        for n in range(3)
    ]

    assert [response.status_code for response in made] == [201, 201, 201]
    for response in made:
        assert {demo.served_by(response.headers["Location"]) for _ in range(3)} == {"users"}


def test_containers_that_go_are_drained_and_the_one_that_stays_takes_all(demo: Demo) -> None:
    with steady_traffic(demo, "/api/users/1") as statuses:
        wait_for("traffic", 10, lambda: statuses[200] > 20)
        demo.containers.scale("users", 1)
        wait_for("two targets drain", 30, lambda: demo.states("users") == {"healthy": 1, "draining": 2})
        wait_for("they are gone", 30, lambda: demo.states("users") == {"healthy": 1})

    # Nobody tells the gateway before a container stops. A connection that was being opened just then is given up when
    # the name has lost the address; if that takes 10 s, it is a 504 (alb.md 8). This client waits for one at a time.
    assert statuses[200] > 100
    assert statuses[504] <= 2
    assert set(statuses) <= {200, 504}


def test_a_bad_table_changes_nothing_and_is_seen(demo: Demo) -> None:
    good = demo.routes.read_text()
    demo.routes.write_text(good.replace("forward: monolith", "forward: monolit"))
    wait_for("it is refused", 10, lambda: not demo.admin.get("/api/status").json()["reload"]["successful"])

    assert demo.served_by("/") == "monolith"
    demo.routes.write_text(good)
    wait_for("the good one is back", 10, lambda: demo.admin.get("/api/status").json()["reload"]["successful"])


def test_prometheus_has_seen_it_all(demo: Demo) -> None:
    wait_for("all requests are counted", 30, lambda: demo.query('sum(strangler_requests_total{rule="users"})') > 100)
    wait_for("both reload results", 30, lambda: demo.query('strangler_config_reloads_total{result="failure"}') >= 1)

    assert demo.query('min(up{job="strangler"})') == 1

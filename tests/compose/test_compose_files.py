"""docker-compose.yml, the Dockerfiles and what they mount fit together."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli.running import DRAIN_SECONDS
from proxy.functions.embedded_aws import MINISTACK

REPOSITORY = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROMETHEUS = yaml.safe_load((REPOSITORY / "observability" / "prometheus.yml").read_text())
ROUTES = (REPOSITORY / "routes.yaml").read_text()
APPLICATIONS = (
    *("gateway", "monolith", "users", "recommendations", "contacts", "payments"),
    *("email", "nightly-report", "scheduler", "uploads", "functions"),
)
ONCE = ("users-setup", "email-setup", "uploads-setup", "clicks-setup")
"""They make what is missing and end."""

every_service = pytest.mark.parametrize("service", SERVICES)
every_application = pytest.mark.parametrize("service", APPLICATIONS)


def dockerfile(service: str) -> str:
    build = SERVICES[service]["build"]
    name = "Dockerfile" if isinstance(build, str) else build["dockerfile"]
    assert (build if isinstance(build, str) else build["context"]) == "."
    return (REPOSITORY / name).read_text()


def exposed(service: str) -> set[str]:
    return set(re.findall(r"\d+", " ".join(re.findall(r"^EXPOSE (.+)$", dockerfile(service), re.MULTILINE))))


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def without_variables(text: str) -> str:
    """A value of the compose file with the default of each variable in its place."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_the_services() -> None:
    assert set(SERVICES) == {*APPLICATIONS, *ONCE, "aws", "prometheus", "grafana"}


@every_service
def test_a_service_is_restarted_unless_stopped(service: str) -> None:
    assert SERVICES[service]["restart"] == ("on-failure" if service in ONCE else "unless-stopped")


@every_service
def test_a_service_has_a_health_check(service: str) -> None:
    assert "healthcheck" in SERVICES[service] or re.search(r"^HEALTHCHECK ", dockerfile(service), re.MULTILINE)


@every_service
def test_a_service_waits_for_none_to_be_healthy(service: str) -> None:
    assert isinstance(SERVICES[service].get("depends_on", []), list)


@every_service
def test_no_service_has_a_container_name_which_would_rule_out_a_second_one(service: str) -> None:
    assert "container_name" not in SERVICES[service]


@every_service
def test_what_is_mounted_from_here_exists_and_stays_as_it_is(service: str) -> None:
    mounts = [without_variables(each).split(":") for each in SERVICES[service].get("volumes", [])]
    own = [mount for mount in mounts if mount[0].startswith(".")]

    assert all((REPOSITORY / source).exists() and mode == ["ro"] for source, _, *mode in own)
    assert {mount[0] for mount in mounts if mount not in own} <= set(COMPOSE["volumes"])


@every_application
def test_an_image_runs_as_a_user_of_its_own(service: str) -> None:
    last_stage = dockerfile(service).rpartition("\nFROM ")[2]

    assert re.search(r"^USER (?!root)\w", last_stage, re.MULTILINE)
    assert SERVICES[service]["cap_drop"] == ["ALL"]


def test_workers_and_schedules_are_there_on_demand_only() -> None:
    on_demand = {name for name, each in SERVICES.items() if each.get("profiles") == ["events"]}

    assert on_demand == {"aws", *ONCE, "email", "nightly-report", "scheduler", "uploads", "functions"}


def test_the_profile_needs_no_variable() -> None:
    """`--profile` is no variable that the file could ask for, so that the topic is told of in a file."""
    noted = SERVICES["users"]["environment"]["USERS_TOPIC_ARN_FILE"]

    assert SERVICES["users"]["environment"]["USERS_TOPIC_ARN"] == "${USERS_TOPIC_ARN:-}"
    assert SERVICES["users-setup"]["command"][-2:] == ["--note", noted]
    assert SERVICES["users-setup"]["volumes"] == SERVICES["users"]["volumes"] == ["users-data:/data"]
    assert noted.startswith("/data/")


def test_the_host_s_functions_are_those_of_the_teams() -> None:
    def functions(file: str, folder: str = "") -> dict[str, Any]:
        read: dict[str, Any] = yaml.safe_load((REPOSITORY / "extracted_services" / file).read_text())["functions"]
        return {name: {**each, "code": folder + each["code"]} for name, each in read.items()}

    of_teams = functions("uploads/functions.yaml", "uploads/") | functions("clicks/functions.yaml", "clicks/")
    assert functions("functions.yaml") == of_teams


def test_buckets_tell_the_function_host_where_it_listens() -> None:
    (port,) = exposed("functions")

    assert f"http://functions:{port}" in SERVICES["uploads-setup"]["command"]


@pytest.mark.parametrize("service", ["gateway", "users", *ONCE, "email", "uploads", "functions"])
def test_who_speaks_to_aws_is_told_where_it_is(service: str) -> None:
    assert SERVICES[service]["environment"]["AWS_ENDPOINT_URL"] == "http://aws:4566"
    assert SERVICES["aws"]["environment"]["GATEWAY_PORT"] == "4566"


def test_the_emulator_is_the_one_that_is_tested_with() -> None:
    assert f"pip install --no-cache-dir {MINISTACK} " in SERVICES["aws"]["build"]["dockerfile_inline"]


def test_both_readers_of_the_shop_s_database_have_the_shop_s_user_id() -> None:
    """SQLite needs to write to the shared memory file beside it."""
    (shop,) = re.findall(r"--uid (\d+)", dockerfile("monolith"))

    for service in ("nightly-report", "scheduler"):
        assert f"--uid {shop} " in dockerfile(service)
        assert "monolith-data:/shop" in SERVICES[service]["volumes"]


@pytest.mark.parametrize("service", [service for service in APPLICATIONS if service != "gateway"])
def test_a_service_behind_the_gateway_has_no_port_on_the_host(service: str) -> None:
    assert "ports" not in SERVICES[service]


def test_published_ports_and_who_may_reach_them() -> None:
    published = {name: [without_variables(port) for port in each.get("ports", [])] for name, each in SERVICES.items()}

    assert {name: ports for name, ports in published.items() if ports} == {
        "gateway": ["8080:8080", "127.0.0.1:9901:9901"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    assert exposed("gateway") == {"8080", "9901"}


def test_the_gateway_is_stopped_only_after_it_had_time_to_drain() -> None:
    assert seconds(SERVICES["gateway"]["stop_grace_period"]) > DRAIN_SECONDS


def test_the_table_is_mounted_by_its_folder_so_that_editors_can_replace_it() -> None:
    assert "${ROUTES_DIR:-.}:/etc/strangler:ro" in SERVICES["gateway"]["volumes"]
    assert "STRANGLER_CONFIG=/etc/strangler/routes.yaml" in dockerfile("gateway")


@pytest.mark.parametrize(
    "group", ["monolith", "users", "recommendations", "contacts", "payments", "nightly-report", "uploads"]
)
def test_the_default_target_of_a_group_is_the_service_of_its_name(group: str) -> None:
    (port,) = exposed(group)

    assert f"${{{group.upper().replace('-', '_')}_URL:-http://{group}:{port}}}" in ROUTES


def test_prometheus_scrapes_the_admin_port_by_a_name_that_it_knows() -> None:
    (job,) = [each for each in PROMETHEUS["scrape_configs"] if each["job_name"] == "strangler"]

    assert job["static_configs"] == [{"targets": ["gateway:9901"]}]
    assert SERVICES["gateway"]["environment"]["STRANGLER_ADMIN_ALLOWED_HOSTS"] == "gateway"
    assert "STRANGLER_ADMIN_PORT=9901" in dockerfile("gateway")


def test_prometheus_finds_its_rules_where_they_are_mounted() -> None:
    assert PROMETHEUS["rule_files"] == ["rules/*.yml"]
    assert "./observability/rules:/etc/prometheus/rules:ro" in SERVICES["prometheus"]["volumes"]


def test_grafana_finds_data_source_and_dashboards_where_they_are_mounted() -> None:
    provisioning = REPOSITORY / "observability" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "strangler.yml").read_text())["providers"]
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert source["url"] == "http://prometheus:9090"
    assert mounts["./observability/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./observability/grafana/provisioning"] == "/etc/grafana/provisioning"
    folder, _, name = home.rpartition("/")
    assert folder == provider["options"]["path"]
    assert json.loads((REPOSITORY / "observability" / "grafana" / "dashboards" / name).read_text())["title"] == "Routes"


def test_the_build_context_has_what_is_copied_and_no_more() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    admitted = {line.removeprefix("!").rstrip("/") for line in lines if line.startswith("!")}
    copies = [
        source
        for service in APPLICATIONS
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile(service), re.MULTILINE)
        for source in line.split()[:-1]
    ]

    assert "*" in lines
    assert {source.split("/")[0] for source in copies} == admitted

"""`docker-compose.yml` and the Dockerfile name only what the project has. No container engine is needed.

The shape is checked against the Compose Specification; the images are not pulled.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from ops.cli.main import main
from ops.stack.roles import ROLES
from streams.settings import sections

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
METRICS_PORT = 9100
CONTAINERS = ROOT / "ops/containers"


def parsed(name: str) -> Any:
    return yaml.safe_load((CONTAINERS / name).read_text())


def test_it_follows_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_role_of_the_local_stack_has_its_service_with_the_same_command() -> None:
    commands = {name: tuple(service["command"]) for name, service in OURS.items()}
    once = {"migrate": ("migrate",), "topics": ("topics", "create")}
    assert commands == {role.name: role.args for role in ROLES} | once


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_ours(name: str) -> None:
    found: click.Command | None = main
    context = click.Context(main)
    for word in OURS[name]["command"]:
        if isinstance(found, click.Group):
            found = found.get_command(context, word)
            assert found is not None, word
    arguments = [word for word in OURS[name]["command"] if word.isdigit()]
    assert found is not None
    found.make_context(name, arguments)


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_a_role_is_a_setting(name: str) -> None:
    known = {str(field.alias) for section in sections().values() for field in section.model_fields.values()}
    assert set(OURS[name]["environment"]) <= known


def test_every_variable_to_be_filled_in_stands_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", FILE.read_text()))
    given = set(re.findall(r"^(\w+)=", (CONTAINERS / "example.env").read_text(), re.MULTILINE))
    assert asked == given


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_checked_or_ends(name: str) -> None:
    service = SERVICES[name]
    ends = service.get("restart") == "on-failure"
    assert ends is bool(service.get("healthcheck", {}).get("disable"))
    assert ends or service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_waited_for_exists_and_can_come_true(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        ends = SERVICES[other].get("restart") == "on-failure"
        expected = "service_completed_successfully" if ends else "service_healthy"
        assert wait["condition"] == expected


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_to_a_release(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.-]*", SERVICES[name]["image"])


@pytest.mark.parametrize("name", OURS)
def test_a_role_has_no_right_that_it_does_not_need(name: str) -> None:
    service = OURS[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_exists(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (ROOT / source).exists(), source
        elif ":" in volume:
            assert source in COMPOSE["volumes"]


def test_only_the_api_is_reachable_from_outside() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == ["3020:3020"]


def test_every_role_is_scraped_where_it_serves_its_metrics() -> None:
    (scraped,) = parsed("prometheus.yml")["scrape_configs"]
    (names,) = scraped["dns_sd_configs"]
    assert set(names["names"]) == {role.name for role in ROLES}
    assert names["port"] == METRICS_PORT
    for role in ROLES:
        environment = OURS[role.name]["environment"]
        assert environment["TIERFLOW_METRICS_PORT"] == str(METRICS_PORT)
        assert environment["TIERFLOW_METRICS_HOST"] == "0.0.0.0"


def test_prometheus_sends_to_the_alertmanager_and_reads_rules_that_exist() -> None:
    settings = parsed("prometheus.yml")
    (manager,) = settings["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert manager.split(":")[0] in SERVICES
    (pattern,) = settings["rule_files"]
    assert list((ROOT / "ops/rules").glob(Path(pattern).name))


def test_grafana_finds_its_sources_and_its_dashboards() -> None:
    sources = {source["uid"] for source in parsed("grafana/datasources.yml")["datasources"]}
    dashboards = list((ROOT / "ops/dashboards").glob("*.json"))
    assert dashboards
    for file in dashboards:
        assert set(source_ids(json.loads(file.read_text()))) <= {*sources, "-- Grafana --"}, file.name
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).name in {file.name for file in dashboards}


def source_ids(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in source_ids(item)]
    if not isinstance(node, dict):
        return []
    own = node.get("datasource")
    found = [own["uid"]] if isinstance(own, dict) and "uid" in own else []
    return found + [name for value in node.values() for name in source_ids(value)]


def test_the_image_copies_what_exists_and_ignores_nothing_of_it() -> None:
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copies for source in line.split()}
    for source in sources:
        assert (ROOT / source).exists()
        assert Path(source).parts[0] in let_through
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= sources


def test_the_image_runs_as_nobody_special() -> None:
    users = re.findall(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert users
    assert users[-1].split(":")[0].isdigit()
    assert int(users[-1].split(":")[0]) > 0


def test_the_image_installs_the_locked_releases() -> None:
    everything = pins(ROOT / "requirements.lock")
    image = pins(CONTAINERS / "requirements.lock")
    assert image.items() <= everything.items()
    project = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("]\n")[0]
    wanted = {name.lower() for name in re.findall(r'^    "([\w-]+)', project, re.MULTILINE)}
    assert wanted <= image.keys()


def pins(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^ ;]+)", file.read_text(), re.MULTILINE))

"""What `deploy/` has for hosts, containers and Kubernetes, held against what the package has: none of it runs here."""

import json
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from collector_daemon.tell import metrics
from crypto_lake import config as configuration
from crypto_lake.cli import cli

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"] == "crypto-lake"}
PODS = list(yaml.safe_load_all((DEPLOY / "k8s" / "collectors.yaml").read_text(encoding="utf-8")))
VALUES = yaml.safe_load((DEPLOY / "k8s" / "values.yaml").read_text(encoding="utf-8"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
NOT_OURS = {"sh", "python", "sed", "exec"}


def check(words: list[str]) -> None:
    """Fail unless a command of the package's, or of what it installs, takes the words."""
    if words[0] == "sh":
        for part in re.split(r"&&|>", words[2]):
            if (inner := shlex.split(part)) and inner[0] == "exec":
                check(inner[1:])
        return
    if words[0] == "python":
        compile(words[2], "command", "exec")
        return
    scripts = {one.name for one in entry_points(group="console_scripts")}
    assert words[0] in scripts, words
    if words[0] == "crypto-lake":
        command: click.Command = cli
        context = click.Context(cli)
        for number, word in enumerate(words[1:], 1):
            if isinstance(command, click.Group) and not word.startswith("-"):
                found = command.get_command(context, word)
                if word == "ship" and found is None:
                    return
                assert found, words
                command = found
                # A configuration that is there on the host alone.
                options = [it for it in words[number + 1 :] if it.startswith("--")]
                known = {name for it in command.params for name in it.opts}
                assert set(options) <= known, words
                return


def commands() -> Iterator[tuple[str, list[str]]]:
    for name, one in OURS.items():
        yield f"compose {name}", one["command"]
        test = one.get("healthcheck", {}).get("test", [])
        if test[:1] == ["CMD"]:
            yield f"compose {name}: health", test[1:]
    pod = PODS[0]["spec"]["template"]["spec"]
    for one in (*pod["initContainers"], *pod["containers"]):
        yield f"k8s {one['name']}", one["command"]
        if probe := one.get("livenessProbe"):
            yield f"k8s {one['name']}: probe", probe["exec"]["command"]
    for unit in UNITS:
        (line,) = re.findall(
            r"^ExecStart=/opt/crypto-lake/bin/(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE
        )
        yield unit.name, shlex.split(line)


@pytest.mark.parametrize(
    ("where", "words"), list(commands()), ids=lambda it: it if isinstance(it, str) else ""
)
def test_each_command_is_one_that_the_package_installs(where: str, words: list[str]) -> None:
    check(words)


def test_the_containers_of_the_lake_are_nobodys_and_may_not_write_to_their_image() -> None:
    for name, one in OURS.items():
        assert (one["user"], one["read_only"], one["cap_drop"]) == ("10001:10001", True, ["ALL"]), name
        assert one["restart"] in {"always", "on-failure"}, name


def test_each_service_says_whether_it_is_well_or_that_it_is_not_asked() -> None:
    assert [name for name, one in OURS.items() if "healthcheck" not in one] == []


def test_services_name_services_and_volumes_that_are_there() -> None:
    for name, one in SERVICES.items():
        assert set(one.get("depends_on", {})) <= SERVICES.keys(), name
        named = {it.partition(":")[0] for it in one.get("volumes", []) if not it.startswith((".", "/"))}
        assert named <= COMPOSE["volumes"].keys(), name


def test_no_port_is_open_to_others() -> None:
    ports = [port for one in SERVICES.values() for port in one.get("ports", [])]
    assert ports == ["127.0.0.1:3000:3000"]


def test_no_secret_has_a_default_and_each_is_in_the_example() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"(?<!\$)\$\{(\w+):\?", text))
    example = (DEPLOY / "example.env").read_text(encoding="utf-8")
    assert asked == set(re.findall(r"^(\w+)=$", example, re.MULTILINE))
    assert set(re.findall(r"(?<!\$)\$\{(\w+)[:-]", text)) <= set(
        re.findall(r"^(\w+)=", example, re.MULTILINE)
    )


def test_dagsters_services_have_each_variable_that_its_settings_ask_for() -> None:
    asked = {
        word
        for name in ("dagster.yaml", "workspace.yaml")
        for word in re.findall(r"env: (\w+)", (DEPLOY / "fleet" / name).read_text(encoding="utf-8"))
    }
    for name in ("daemon", "webserver", "code-server", "worker"):
        assert asked <= SERVICES[name]["environment"].keys(), name


def test_images_are_named_without_a_registry() -> None:
    texts = [(DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("FROM", "image:")]
    texts += [
        path.read_text(encoding="utf-8") for path in (DEPLOY / "compose.yaml", *(DEPLOY / "k8s").iterdir())
    ]
    names = [name for text in texts for name in re.findall(r"(?:image|repository): *([^\s&{]+)", text)]
    assert len(names) > 5
    assert [name for name in names if "." in name.split("/")[0].split(":")[0]] == []


def test_the_image_is_made_of_what_is_there_and_is_run_by_nobody() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    sources = [
        word
        for line in lines
        if line.startswith("COPY") and "--from" not in line
        for word in shlex.split(line)[1:-1]
        if not word.startswith("--")
    ]
    assert [name for name in sources if not (ROOT / name).exists()] == []
    assert [line for line in lines if line.startswith("USER")][-1] == "USER 10001:10001"
    (health,) = [line for line in lines if line.startswith("HEALTHCHECK")]
    check(json.loads(health[health.index("[") :]))


def test_collectors_in_kubernetes_keep_their_volume_and_never_share_a_host() -> None:
    spec = PODS[0]["spec"]
    pod = spec["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    volumes = {
        one["name"] for one in (*pod["volumes"], *(it["metadata"] for it in spec["volumeClaimTemplates"]))
    }
    for one in (*pod["initContainers"], *pod["containers"]):
        assert {it["name"] for it in one["volumeMounts"]} <= volumes
        assert not one["securityContext"]["allowPrivilegeEscalation"]
    (rule,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["labelSelector"]["matchLabels"] == spec["selector"]["matchLabels"] == pod_labels()
    assert PODS[1]["metadata"]["name"] == spec["serviceName"]


def pod_labels() -> dict[str, str]:
    labels: dict[str, str] = PODS[0]["spec"]["template"]["metadata"]["labels"]
    return labels


def test_kubernetes_and_hosts_have_the_same_limits() -> None:
    settings = yaml.safe_load((DEPLOY / "fleet" / "dagster.yaml").read_text(encoding="utf-8"))
    queue = VALUES["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert queue["tagConcurrencyLimits"] == settings["run_coordinator"]["config"]["tag_concurrency_limits"]
    assert VALUES["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"
    (code,) = VALUES["dagster-user-deployments"]["deployments"]
    assert code["podSecurityContext"]["runAsNonRoot"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_started_again_for_ever_and_is_not_roots(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    for line in ("Restart=always", "User=crypto-lake", "NoNewPrivileges=yes", "StartLimitIntervalSec=0"):
        assert f"\n{line}\n" in text, line


def test_the_dashboard_asks_for_numbers_that_collectors_have() -> None:
    counters = {*metrics.SYMBOL_COUNTERS, *metrics.EXCHANGE_COUNTERS}
    known = {f"crypto_lake_{name}_total" for name in counters}
    known |= {f"crypto_lake_{name}" for name in (*metrics.SYMBOL_GAUGES, *metrics.EXCHANGE_GAUGES)}
    board = json.loads((DEPLOY / "grafana" / "collectors.json").read_text(encoding="utf-8"))
    asked = {
        name for it in board["panels"] for name in re.findall(r"crypto_lake_\w+", it["targets"][0]["expr"])
    }
    assert asked
    assert asked <= known
    assert len({it["id"] for it in board["panels"]}) == len(board["panels"])


def test_the_configuration_of_a_fleet_is_valid() -> None:
    found = configuration.load(DEPLOY / "fleet" / "config.yml")
    assert (found.cluster.shards, found.collector.name) == (16, "NAME")
    # What each collector writes in its place.
    assert (DEPLOY / "fleet" / "config.yml").read_text(encoding="utf-8").count("NAME") == 1

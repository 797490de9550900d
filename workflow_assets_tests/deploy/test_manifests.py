"""What Docker, Kubernetes and Amazon are asked for: commands that exist, no open port, no secret in clear."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from string import Template
from typing import Any

import boto3
import click
import kubernetes.client
import pytest
import yaml
from botocore.validate import ParamValidator
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import create_dagster_webserver_cli

from workflow_assets_tests.deploy.recipes import DEPLOY, FILLED, PROJECT, settings, task

PROGRAMS = {
    "dagster": create_dagster_cli,
    "dagster-daemon": create_dagster_daemon_cli,
    "dagster-webserver": create_dagster_webserver_cli,
}
SECRET = re.compile(r"password|secret|_key$", re.IGNORECASE)
RIGHTS = {"iam:PassRole", "s3:ListBucket"}  # that are not calls


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())["services"])


def manifests() -> list[dict[str, Any]]:
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    return [
        document
        for name in kustomization["resources"]
        for document in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text())
    ]


def pod() -> dict[str, Any]:
    (deployment,) = (one for one in manifests() if one["kind"] == "Deployment")
    return dict(deployment["spec"]["template"]["spec"])


def commands() -> Iterator[tuple[str, list[str]]]:
    """Give each command that a recipe runs in a container, and where it is from."""
    for name, service in compose().items():
        if "command" in service:
            yield f"docker {name}", shlex.split(service["command"])
    for container in pod()["containers"]:
        if "command" in container:
            yield f"kubernetes {container['name']}", [*container["command"], *container["args"]]
            for probe in ("startupProbe", "readinessProbe"):
                if "exec" in container.get(probe, {}):
                    yield f"kubernetes {container['name']} {probe}", container[probe]["exec"]["command"]
    for container in task()["containerDefinitions"]:
        if "command" in container:
            yield f"ecs {container['name']}", container["command"]


COMMANDS = dict(commands())


def parsed(command: list[str]) -> dict[str, Any]:
    """Give the options of a command as its program reads them; unknown ones are an error."""
    program: click.Command = PROGRAMS[command[0]]()
    context = program.make_context(command[0], command[1:])
    while isinstance(program, click.Group):
        name, found, rest = program.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        program = found
        context = program.make_context(name, rest, parent=context)
    return context.params


def test_each_container_recipe_runs_webserver_daemon_and_code_server():
    kinds: dict[str, set[str | tuple[str, ...]]] = {name.partition(" ")[0]: set() for name in COMMANDS}
    for name, command in COMMANDS.items():
        kinds[name.partition(" ")[0]].add(tuple(command[:2]) if command[0] == "dagster" else command[0])
    for recipe in ("docker", "kubernetes", "ecs"):
        assert {("dagster", "code-server"), "dagster-webserver", "dagster-daemon"} <= kinds[recipe]


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_commands_exist_and_listen_on_their_own_loopback_only(command, monkeypatch):
    monkeypatch.setattr(click.Path, "convert", lambda self, value, parameter, context: value)
    options = parsed(command)
    if command[0] != "dagster-daemon":
        assert options["host"] == "127.0.0.1"
    if options.get("module_name"):
        names = options["module_name"]
        assert import_module(names if isinstance(names, str) else names[0]).defs
    if options.get("workspace"):
        assert options["workspace"] == ("/opt/dagster/dagster_home/workspace.yaml",)


def test_the_workspace_leads_to_the_code_server():
    (location,) = yaml.safe_load((DEPLOY / "docker" / "workspace.yaml").read_text())["load_from"]
    assert location["grpc_server"]["host"] == "127.0.0.1"
    for name, command in COMMANDS.items():
        if name.endswith(" code"):
            assert parsed(command)["port"] == location["grpc_server"]["port"]


def test_docker_opens_ports_of_nginx_only_and_on_this_machine_only():
    services = compose()
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"proxy": ["127.0.0.1:8443:8443", "127.0.0.1:8080:8080"]}
    for name in ("code", "webserver", "daemon"):
        assert services[name]["network_mode"] == "service:proxy"


def test_docker_takes_every_secret_from_the_environment():
    for service in compose().values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name):
                assert value.startswith("${"), name
                assert ":-" not in value or value.endswith(":-}"), f"{name} has a value of its own"


def test_runs_in_docker_find_network_volume_and_settings_of_the_containers():
    document = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())
    launcher = settings("docker")["run_launcher"]["config"]
    assert launcher["network"] == document["networks"]["workflow_assets"]["name"]
    assert launcher["container_kwargs"]["volumes"] == [f"{document['volumes']['data']['name']}:/data"]
    daemon = document["services"]["daemon"]["environment"]
    assert set(launcher["env_vars"]) <= set(daemon)
    assert daemon["WORKFLOW_ASSETS_HOME"] == "/data"
    assert daemon["DAGSTER_CURRENT_IMAGE"] == document["services"]["daemon"]["image"]


def test_the_image_holds_what_the_recipes_ask_for():
    text = (DEPLOY / "docker" / "Dockerfile").read_text()
    ignored = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text().split()
    for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE):
        *sources, _ = line.replace("${RECIPE}", "docker").split()
        for source in sources:
            assert (PROJECT / source).exists(), source
            assert f"!{source.partition('/')[0]}" in ignored
    extras = re.findall(r"^(\w+) = \[", (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    assert {"docker", "kubernetes", "ecs"} <= set(extras)  # what RECIPE may be
    assert re.search(r"^USER dagster$", text, re.MULTILINE)


KINDS = {
    "Deployment": "V1Deployment",
    "Namespace": "V1Namespace",
    "Role": "V1Role",
    "RoleBinding": "V1RoleBinding",
    "Service": "V1Service",
    "ServiceAccount": "V1ServiceAccount",
    "StatefulSet": "V1StatefulSet",
}


class _Response:
    """What Kubernetes' client reads an object from."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.data = json.dumps(document)


@pytest.mark.parametrize("document", manifests(), ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
def test_kubernetes_knows_each_field(document):
    """Its client drops what it does not know."""
    client = kubernetes.client.ApiClient()
    read = client.deserialize(_Response(document), KINDS[document["kind"]])
    assert client.sanitize_for_serialization(read) == document


def test_kubernetes_opens_nginx_only():
    services = {one["metadata"]["name"]: one["spec"] for one in manifests() if one["kind"] == "Service"}
    assert services["dagster"]["ports"] == [{"name": "https", "port": 443, "targetPort": "https"}]
    assert {name: spec.get("type", "ClusterIP") for name, spec in services.items()} == {
        "dagster": "ClusterIP",
        "postgres": "ClusterIP",
    }
    ports = {
        one["name"]: [port["containerPort"] for port in one.get("ports", [])] for one in pod()["containers"]
    }
    assert ports == {"proxy": [8443], "code": [], "webserver": [], "daemon": []}


def test_kubernetes_takes_every_secret_from_a_secret():
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    assert "secretGenerator" not in kustomization
    literals = {name for one in kustomization["configMapGenerator"] for name in one.get("literals", [])}
    assert not [name for name in literals if SECRET.search(name.partition("=")[0])]
    assert "Secret" not in {one["kind"] for one in manifests()}
    for one in manifests():
        if one["kind"] in {"Deployment", "StatefulSet"}:
            for container in one["spec"]["template"]["spec"]["containers"]:
                for variable in container.get("env", []):
                    assert not (SECRET.search(variable["name"]) and "value" in variable), variable


def test_names_that_the_launcher_relies_on_are_there():
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    launcher = settings("kubernetes")["run_launcher"]["config"]
    maps = {one["name"] for one in kustomization["configMapGenerator"]}
    assert {launcher["instance_config_map"], *launcher["env_config_maps"]} == maps
    assert kustomization["generatorOptions"]["disableNameSuffixHash"]
    assert launcher["job_namespace"] == kustomization["namespace"]
    accounts = {one["metadata"]["name"] for one in manifests() if one["kind"] == "ServiceAccount"}
    (binding,) = (one for one in manifests() if one["kind"] == "RoleBinding")
    bound = {one["name"] for one in binding["subjects"]}
    assert launcher["service_account_name"] in accounts - bound  # runs may do nothing in the cluster
    assert pod()["serviceAccountName"] in bound
    literals = dict(
        entry.split("=", 1)
        for one in kustomization["configMapGenerator"]
        for entry in one.get("literals", [])
    )
    wanted = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "kubernetes" / "dagster.yaml").read_text()))
    assert wanted - set(literals) == {"DAGSTER_PG_PASSWORD"}


def test_amazon_knows_each_field_of_the_task():
    shape = boto3.client("ecs", region_name="eu-central-1").meta.service_model.shape_for(
        "RegisterTaskDefinitionRequest"
    )
    assert not ParamValidator().validate(task(), shape).has_errors()


def test_the_task_opens_nginx_only_and_takes_every_secret_from_the_secrets_manager():
    containers = {one["name"]: one for one in task()["containerDefinitions"]}
    assert {
        name: [port["containerPort"] for port in one.get("portMappings", [])]
        for name, one in containers.items()
    } == {
        "proxy": [8443],
        "code": [],
        "webserver": [],
        "daemon": [],
    }
    wanted = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "ecs" / "dagster.yaml").read_text()))
    for name, container in containers.items():
        clear = {one["name"] for one in container["environment"]}
        secret = {one["name"] for one in container["secrets"]}
        assert not {one for one in clear if SECRET.search(one)}
        assert all(one["valueFrom"].startswith("arn:aws:secretsmanager:") for one in container["secrets"])
        if name != "proxy":
            assert wanted | {"WORKFLOW_ASSETS_STORE", "WORKFLOW_ASSETS_KEY"} <= clear | secret


def test_the_policy_names_actions_that_amazon_knows():
    policy = json.loads(Template((DEPLOY / "ecs" / "policy.json").read_text()).substitute(FILLED))
    for statement in policy["Statement"]:
        for action in statement["Action"]:
            service, _, name = action.partition(":")
            known = boto3.client(service, region_name="eu-central-1").meta.service_model.operation_names
            assert name in known or action in RIGHTS, action

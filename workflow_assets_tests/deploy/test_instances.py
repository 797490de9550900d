"""Dagster itself accepts each recipe's instance file, and what it makes of it is what the recipe says."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import yaml
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator
from dagster import DagsterInstance, DagsterRun, DefaultRunLauncher
from dagster._config import process_config, resolve_to_config_type
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.instance.config import PoolGranularity
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
from dagster._core.test_utils import create_run_for_test
from dagster._serdes import ConfigurableClassData
from dagster_aws.ecs import EcsRunLauncher
from dagster_aws.s3 import S3ComputeLogManager
from dagster_docker import DockerRunLauncher
from dagster_k8s import K8sRunLauncher
from dagster_postgres.utils import DagsterPostgresException

from workflow_assets.orchestration.event_logs import EmbeddedEventLog
from workflow_assets.orchestration.postgres import PostgresEventLog
from workflow_assets.orchestration.storage import EmbeddedComputeLogs
from workflow_assets_tests.deploy.databases import PASSWORD
from workflow_assets_tests.deploy.recipes import PROJECT, RECIPES, installed, settings, task

IMAGE = "registry.example/team/workflow-assets:1"
RUNS = {"local": 2, "postgres": 4, "docker": 4, "kubernetes": 10, "ecs": 10}
STORAGES = dict.fromkeys(RECIPES, PostgresEventLog) | {"local": EmbeddedEventLog}
LOGS = dict.fromkeys(RECIPES, EmbeddedComputeLogs) | dict.fromkeys(("kubernetes", "ecs"), S3ComputeLogManager)
LAUNCHERS = {
    "local": DefaultRunLauncher,
    "postgres": DefaultRunLauncher,
    "docker": DockerRunLauncher,
    "kubernetes": K8sRunLauncher,
    "ecs": EcsRunLauncher,
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_component_exists_and_takes_its_settings(recipe, tmp_path, monkeypatch):
    for name in ("HOST", "PORT", "DB", "USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"DAGSTER_PG_{name}", "5432")
    monkeypatch.setenv("DAGSTER_LOGS_BUCKET", "logs")
    reference = InstanceRef.from_dir(str(installed(recipe, tmp_path)))
    found = {
        name: data for name, data in reference._asdict().items() if isinstance(data, ConfigurableClassData)
    }
    assert {"storage_data", "run_launcher_data", "compute_logs_data", "run_coordinator_data"} <= set(found)
    for name, data in found.items():
        kind = getattr(import_module(data.module_name), data.class_name)
        outcome = process_config(resolve_to_config_type(kind.config_type()), data.config_dict)
        assert outcome.success, (name, outcome.errors)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_components_are_those_of_the_recipe(recipe, opened):
    instance = opened(recipe)
    assert type(instance.event_log_storage) is STORAGES[recipe]
    assert type(instance.compute_log_manager) is LOGS[recipe]
    assert type(instance.run_launcher) is LAUNCHERS[recipe]


@pytest.mark.parametrize("recipe", RECIPES)
def test_runs_wait_in_a_queue_and_lost_ones_are_found_and_run_again(recipe, opened):
    instance = opened(recipe)
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    limits = instance.get_concurrency_config()
    assert limits.run_queue_config.max_concurrent_runs == RUNS[recipe]
    assert limits.pool_config.default_pool_limit == 1
    assert limits.pool_config.pool_granularity == PoolGranularity.RUN
    assert instance.run_monitoring_enabled
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries == 1
    assert not instance.run_retries_retry_on_asset_or_op_failure
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled


def test_one_machine_has_the_instance_of_the_project_and_more():
    """The recipe has all that the project's own instance file has, and pools, launcher and lost runs besides."""
    own = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    recipe = settings("local")
    for name, value in own.items():
        assert value.items() <= recipe[name].items(), name


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "local"])
def test_a_database_is_found_by_the_environment_alone(recipe):
    """No recipe holds a host, a user or a password."""
    place = settings(recipe)["storage"]["custom"]["config"]["postgres_db"]
    names = {
        "hostname": "HOST",
        "port": "PORT",
        "db_name": "DB",
        "username": "USERNAME",
        "password": "PASSWORD",
    }
    for key, name in names.items():
        assert place[key] == {"env": f"DAGSTER_PG_{name}"}
    assert place["scheme"] == "postgresql+psycopg2"


def test_a_database_in_the_cloud_must_speak_tls(environment, postgres, tmp_path, monkeypatch):
    for name, value in postgres.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(DagsterPostgresException) as refused:
        DagsterInstance.from_config(str(installed("ecs", tmp_path, encrypted=True)))
    assert "server does not support SSL, but SSL was required" in str(refused.value.__cause__)


def launched(instance: DagsterInstance) -> DagsterRun:
    """Launch a run of the example, as the daemon does when it takes it from the queue."""
    origin = JobPythonOrigin(
        job_name="regularisation",
        repository_origin=RepositoryPythonOrigin(
            executable_path="python",
            code_pointer=ModuleCodePointer("workflow_assets.definitions", "defs"),
            container_image=IMAGE,
            entry_point=["dagster"],
        ),
    )
    server = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=4000, location_name="workflow_assets")
    remote = RemoteRepositoryOrigin(server, "__repository__").get_job_origin("regularisation")
    run = create_run_for_test(instance, "regularisation", job_code_origin=origin, remote_job_origin=remote)
    instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
    return run


def test_a_run_in_docker_has_network_volume_and_settings_of_the_recipe(opened, tmp_path):
    instance = opened("docker")
    with mock.patch("docker.client.from_env") as client:
        container = client.return_value.containers.create
        container.return_value.id = "container-1"
        run = launched(instance)
    container.return_value.start.assert_called_once_with()
    asked = container.call_args.kwargs
    assert asked["image"] == IMAGE
    assert asked["network"] == "workflow_assets"
    assert asked["volumes"] == ["workflow_assets_data:/data"]
    assert asked["auto_remove"]
    assert asked["environment"]["DAGSTER_PG_PASSWORD"] == PASSWORD
    assert asked["environment"]["WORKFLOW_ASSETS_KEY"] == "k" * 32
    assert run.run_id in str(asked["command"])
    assert PASSWORD not in str(asked["command"])


def test_a_run_in_kubernetes_has_the_settings_and_rights_of_the_recipe(opened):
    instance = opened("kubernetes")
    with mock.patch("kubernetes.client.BatchV1Api.create_namespaced_job", autospec=True) as create:
        launched(instance)
    body = create.call_args.kwargs.get("body") or create.call_args.args[1]
    assert create.call_args.kwargs["namespace"] == "workflow-assets"
    pod = body.spec.template.spec
    (container,) = pod.containers
    assert container.image == IMAGE
    assert [source.config_map_ref.name for source in container.env_from if source.config_map_ref] == [
        "dagster-settings"
    ]
    assert [source.secret_ref.name for source in container.env_from if source.secret_ref] == [
        "dagster-secrets"
    ]
    assert pod.service_account_name == "dagster-runs"
    assert pod.security_context.run_as_non_root
    assert container.security_context.allow_privilege_escalation is False
    assert container.resources.limits == {"memory": "4Gi"}
    assert body.spec.ttl_seconds_after_finished == 86400
    assert PASSWORD not in str(body)


@pytest.fixture
def amazon(monkeypatch) -> list[tuple[str, dict[str, Any]]]:
    """The daemon's container in a task of the recipe: what Amazon is asked, checked by its own model, and answered."""
    calls: list[tuple[str, dict[str, Any]]] = []
    own = "arn:aws:ecs:eu-central-1:123456789012:task/trial/daemon"
    details = [{"name": "subnetId", "value": "subnet-1"}, {"name": "networkInterfaceId", "value": "eni-1"}]
    current = {
        "taskArn": own,
        "taskDefinitionArn": "arn:of-the-recipe",
        "launchType": "FARGATE",
        "attachments": [{"type": "ElasticNetworkInterface", "details": details}],
    }
    started = {"taskArn": "arn:aws:ecs:eu-central-1:123456789012:task/trial/run", "clusterArn": "arn:trial"}
    answers: dict[str, Any] = {
        "DescribeTasks": {"tasks": [current]},
        "DescribeNetworkInterfaces": {"NetworkInterfaces": [{"Groups": [{"GroupId": "sg-1"}]}]},
        "RegisterTaskDefinition": {},
        "RunTask": {"tasks": [started], "failures": []},
    }

    def call(client: Any, operation: str, given: dict[str, Any]) -> Any:
        shape = client.meta.service_model.operation_model(operation).input_shape
        found = ParamValidator().validate(given, shape)
        assert not found.has_errors(), found.generate_report()
        calls.append((operation, given))
        if operation == "DescribeTaskDefinition":
            if given["taskDefinition"] != current["taskDefinitionArn"]:
                raise ClientError({"Error": {"Code": "ClientException"}}, operation)
            return {"taskDefinition": task()}
        return answers[operation]

    def metadata(url: str) -> SimpleNamespace:
        told = {"Cluster": "trial", "TaskARN": own} if url.endswith("/task") else {"Name": "daemon"}
        return SimpleNamespace(json=lambda: told)

    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://127.0.0.1/v4")
    monkeypatch.setattr("dagster_aws.ecs.tasks.requests.get", metadata)
    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", call)
    return calls


def test_a_run_on_ecs_takes_over_what_the_task_of_the_daemon_has(opened, amazon):
    launched(opened("ecs"))
    asked = dict(amazon)
    registered = asked["RegisterTaskDefinition"]
    (container,) = registered["containerDefinitions"]
    (daemon,) = (one for one in task()["containerDefinitions"] if one["name"] == "daemon")
    assert container["name"] == "run"
    assert container["image"] == IMAGE
    assert container["secrets"] == daemon["secrets"]
    assert [one for one in daemon["environment"] if one not in container["environment"]] == []
    assert registered["taskRoleArn"] == task()["taskRoleArn"]
    assert (registered["cpu"], registered["memory"]) == ("1024", "4096")
    run = asked["RunTask"]
    assert run["taskDefinition"] == registered["family"]
    network = run["networkConfiguration"]["awsvpcConfiguration"]
    assert (network["subnets"], network["securityGroups"]) == (["subnet-1"], ["sg-1"])
    assert network["assignPublicIp"] == "DISABLED"
    assert PASSWORD not in str(amazon)

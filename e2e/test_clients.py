"""Deployment tools as their makers ship them, against real containers: ecs-deploy, Ansible's modules for ECS and
Terraform. None of them knows Roadstead; each is only told where the endpoint is.

A tool that is not installed is skipped, and says so: `tools/setup.sh VENV test` installs the Python ones; Terraform
and its AWS provider must be there already, the provider in a folder that `terraform providers mirror` made.
"""

import glob
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from harness import CLUSTER, IMAGE, REGION, SLEEP, VENV, awslogs, container, exit_codes, task_id, until

PROVIDER = "registry.terraform.io/hashicorp/aws"
VERSION = "5.100.0"


def python_tool(name):
    """A program of the Python environment; its test is skipped where it is not installed."""
    path = os.path.join(VENV, "bin", name)
    if not os.path.exists(path):
        pytest.skip(f"SKIPPED, NOT TESTED: {name} is not installed in {VENV} (tools/clients.txt)")
    return path


def call(roadstead, *argv, code=0, cwd=None, **env):
    """Runs a tool against the instance; what it printed."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, cwd=cwd,
                          env=roadstead.environment(AWS_REGION=REGION, **env))
    text = done.stdout + done.stderr
    assert done.returncode == code, f"{' '.join(map(str, argv))}: exit {done.returncode}\n{text}\n{roadstead.log_tail(60)}"
    return text


def tell(roadstead, name, cluster=CLUSTER):
    return roadstead.ecs.describe_services(cluster=cluster, services=[name])["services"][0]


def family_revision(arn):
    return arn.rsplit("/", 1)[-1]


# ecs-deploy


@pytest.fixture(scope="module")
def ecs_deploy(roadstead):
    """The program `ecs`, and a service that it may change."""
    program = python_tool("ecs")
    definition = roadstead.define("deployed", container(name="app", script=SLEEP))
    roadstead.ecs.create_service(cluster=CLUSTER, serviceName="deployed", taskDefinition=definition, desiredCount=1)
    roadstead.wait("services_stable", services=["deployed"])
    yield lambda *argv, code=0: call(roadstead, program, *argv, code=code)
    roadstead.ecs.delete_service(cluster=CLUSTER, service="deployed", force=True)


def test_ecs_deploy_deploys_scales_and_rolls_back(roadstead, ecs_deploy):
    said = ecs_deploy("deploy", CLUSTER, "deployed", "--env", "app", "COLOUR", "blue", "--no-deregister")
    assert "Deployment successful" in said and "COLOUR" in said, said
    first = tell(roadstead, "deployed")
    assert family_revision(first["taskDefinition"]) == "deployed:2"
    assert [d["rolloutState"] for d in first["deployments"]] == ["COMPLETED"]

    said = ecs_deploy("scale", CLUSTER, "deployed", "2")
    assert "Scaling successful" in said, said
    assert tell(roadstead, "deployed")["runningCount"] == 2

    # No image of that name can be pulled, so the deployment fails, and the tool goes back by itself.
    said = ecs_deploy("deploy", CLUSTER, "deployed", "--image", "app", "127.0.0.1:1/none:1", "--rollback",
                      "--timeout", "2", code=1)
    assert "Rollback successful" in said, said
    now = tell(roadstead, "deployed")
    assert family_revision(now["taskDefinition"]) == "deployed:2" and now["runningCount"] == 2


def test_ecs_deploy_runs_a_task_and_tells_definitions_apart(roadstead, ecs_deploy):
    plain = roadstead.define("once", container(name="app", script="exit 3"))
    said = ecs_deploy("run", CLUSTER, "once", "1", "-c", "app", "/bin/true", "-e", "app", "A", "b")
    assert "Successfully started 1 instances" in said, said
    arn = next(line.split("- ")[1].strip() for line in said.splitlines() if "- arn:" in line)
    task = roadstead.stopped(arn)
    assert (exit_codes(task), task["startedBy"]) == ({"app": 0}, "ECS Deploy")
    assert task["overrides"]["containerOverrides"][0]["command"] == ["/bin/true"]
    roadstead.define("once", container(name="app", script="exit 4"))
    said = ecs_deploy("diff", "once", "1", "2")
    assert family_revision(plain) == "once:1" and "exit 4" in said, said


# Ansible


def playbook(roadstead, tmp_path, *tasks, variables=None):
    """Runs tasks in a playbook of their own; what each of them came to."""
    program = python_tool("ansible-playbook")
    book = [{"hosts": "localhost", "gather_facts": False, "vars": variables or {}, "tasks": list(tasks)}]
    path = tmp_path / "play.yml"
    path.write_text(json.dumps(book))  # JSON is YAML.
    text = call(roadstead, program, "-i", "localhost,", "-c", "local", str(path), cwd=tmp_path,
                ANSIBLE_STDOUT_CALLBACK="ansible.posix.json",
                ANSIBLE_LOCALHOST_WARNING="False", ANSIBLE_PYTHON_INTERPRETER=os.path.join(VENV, "bin/python"),
                ANSIBLE_HOME=str(tmp_path / "home"), HOME=str(tmp_path), ANSIBLE_DEPRECATION_WARNINGS="False")
    answer = json.loads(text[text.index("{"):text.rindex("}") + 1])
    return [task["hosts"]["localhost"] for task in answer["plays"][0]["tasks"]]


def test_ansible_modules_do_as_they_say(roadstead, tmp_path):
    module = "community.aws.ecs_{}".format
    define = {module("taskdefinition"): {"state": "present", "family": "played", "containers": [
        {"name": "app", "image": IMAGE, "essential": True, "cpu": 0, "memory": 32,
         "command": ["/bin/sh", "-c", SLEEP]}]}}
    service = {"state": "present", "name": "played", "cluster": CLUSTER, "task_definition": "played:1",
               "desired_count": 1}
    made, again, defined, defined_again, served, served_again, scaled, seen = playbook(
        roadstead, tmp_path,
        {module("cluster"): {"state": "present", "name": "played"}},
        {module("cluster"): {"state": "present", "name": "played"}},
        define, define,
        {module("service"): service}, {module("service"): service},
        {module("service"): {**service, "desired_count": 2, "deployment_configuration": {
            "minimum_healthy_percent": 0, "maximum_percent": 150,
            "deployment_circuit_breaker": {"enable": False, "rollback": False}}}},
        {module("service_info"): {"cluster": CLUSTER, "service": "played", "details": True}})
    assert [made["changed"], again["changed"]] == [True, False]
    assert [defined["changed"], defined_again["changed"]] == [True, False], "the same definition is known again"
    assert [served["changed"], served_again["changed"], scaled["changed"]] == [True, False, True]
    assert seen["services"][0]["desiredCount"] == 2
    roadstead.wait("services_stable", services=["played"])
    assert tell(roadstead, "played")["runningCount"] == 2

    ran, described, gone, undefined, unmade = playbook(
        roadstead, tmp_path,
        {module("task"): {"operation": "run", "cluster": CLUSTER, "task_definition": "played", "count": 1,
                          "started_by": "ansible user", "wait": False, "overrides": {"containerOverrides": [
                              {"name": "app", "command": ["/bin/true"]}]}},
         "register": "ran"},
        {module("taskdefinition_info"): {"task_definition": "played"}},
        {module("service"): {"state": "absent", "name": "played", "cluster": CLUSTER, "force_deletion": True,
                             "wait": True, "delay": 1, "repeat": 60}},
        {module("taskdefinition"): {"state": "absent", "family": "played", "revision": 1, "containers": []}},
        {module("cluster"): {"state": "absent", "name": "played"}})
    assert ran["changed"] and described["family"] == "played"
    assert [gone["changed"], undefined["changed"], unmade["changed"]] == [True, True, True]
    for task in ran["task"]:
        ended = roadstead.stopped(task["taskArn"])
        assert (ended["startedBy"], exit_codes(ended)) == ("ansible user", {"app": 0})
    assert tell(roadstead, "played")["status"] == "INACTIVE"


# Terraform


def provider_mirror():
    """A folder that holds the AWS provider: TF_PLUGIN_DIR, where Terraform itself looks, or below /opt."""
    home = os.path.expanduser("~/.terraform.d/plugins")
    known = ["/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", home, *sorted(glob.glob("/opt/*"))]
    given = os.environ.get("TF_PLUGIN_DIR")
    for folder in [given] if given else known:
        if glob.glob(f"{folder}/{PROVIDER}/{VERSION}/*/terraform-provider-aws*") or glob.glob(
                f"{folder}/{PROVIDER}/terraform-provider-aws_{VERSION}_*.zip"):
            return folder
    return None


@pytest.fixture
def terraform(roadstead, tmp_path):
    """Runs Terraform in a folder of its own, with nothing from the network."""
    program, mirror = shutil.which("terraform"), provider_mirror()
    if not program or not mirror:
        pytest.skip(f"SKIPPED, NOT TESTED: terraform: {program}, a mirror with {PROVIDER} {VERSION}: {mirror} "
                    "(set TF_PLUGIN_DIR)")
    rc = tmp_path / "terraform.rc"
    rc.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    (tmp_path / "main.tf").write_text(TERRAFORM)

    def run(*argv, **variables):
        env = {f"TF_VAR_{name}": str(value) for name, value in variables.items()}
        return call(roadstead, program, *argv, cwd=tmp_path, TF_CLI_CONFIG_FILE=str(rc), TF_IN_AUTOMATION="1",
                    CHECKPOINT_DISABLE="1", TF_VAR_endpoint=roadstead.endpoint, TF_VAR_image=IMAGE,
                    TF_VAR_cluster=CLUSTER, HOME=str(tmp_path), **env)

    return run


TERRAFORM = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "5.100.0" }
  }
}
variable "endpoint" {}
variable "image" {}
variable "cluster" {}
variable "count_of_tasks" { default = 1 }
variable "word" { default = "one" }
provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  endpoints {
    ecs  = var.endpoint
    logs = var.endpoint
    sts  = var.endpoint
  }
}
data "aws_caller_identity" "me" {}
data "aws_ecs_cluster" "host" { cluster_name = var.cluster }
resource "aws_cloudwatch_log_group" "app" {
  name              = "/terraform/app"
  retention_in_days = 7
  tags              = { made = "by terraform" }
}
resource "aws_ecs_cluster" "own" {
  name = "terraformed"
  setting {
    name  = "containerInsights"
    value = "disabled"
  }
  configuration {
    execute_command_configuration {
      logging = "OVERRIDE"
      log_configuration {
        cloud_watch_log_group_name = aws_cloudwatch_log_group.app.name
      }
    }
  }
  tags = { word = var.word }
}
resource "aws_ecs_task_definition" "app" {
  family       = "terraformed"
  network_mode = "bridge"
  container_definitions = jsonencode([{
    name         = "app"
    image        = var.image
    memory       = 32
    command      = ["/bin/sh", "-c", "echo ${var.word}; trap 'exit 0' TERM; sleep 1000 & wait"]
    environment  = [{ name = "WORD", value = var.word }]
    secrets      = []
    mountPoints  = [{ sourceVolume = "scratch", containerPath = "/scratch" }]
    portMappings = [{ containerPort = 80 }]
    linuxParameters = { initProcessEnabled = false }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.app.name
        "awslogs-region"        = "us-east-1"
        "awslogs-stream-prefix" = "t"
        "mode"                  = "non-blocking"
        "max-buffer-size"       = "1.5m"
      }
    }
  }])
  volume { name = "scratch" }
  runtime_platform {
    operating_system_family = "LINUX"
  }
}
resource "aws_ecs_task_definition" "fargate" {
  family                   = "terraformed-fargate"
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE", "EC2"]
  cpu                      = "512"
  memory                   = "1024"
  pid_mode                 = "task"
  execution_role_arn       = "arn:aws:iam::000000000000:role/ecsTaskExecutionRole"
  ephemeral_storage { size_in_gib = 30 }
  runtime_platform {
    cpu_architecture        = "ARM64"
    operating_system_family = "LINUX"
  }
  container_definitions = jsonencode([{
    name              = "web"
    image             = "000000000000.dkr.ecr.us-east-1.amazonaws.com/web:1"
    portMappings      = [{ containerPort = 8080, name = "http", appProtocol = "http" }]
    healthCheck       = { command = ["CMD-SHELL", "true"] }
    ulimits           = [{ name = "nofile", softLimit = 1024, hardLimit = 4096 }]
    secrets           = []
    environmentFiles  = []
    versionConsistency = "disabled"
    restartPolicy     = { enabled = true }
    linuxParameters   = { initProcessEnabled = true }
    logConfiguration = {
      logDriver = "awslogs"
      options   = { "awslogs-group" = "g", "awslogs-region" = "us-east-1", "awslogs-stream-prefix" = "f" }
    }
  }])
  tags = { word = var.word }
}
resource "aws_ecs_task_definition" "host" {
  family   = "terraformed-host"
  pid_mode = "host"
  ipc_mode = "task"
  container_definitions = jsonencode([{
    name                 = "app"
    image                = var.image
    memoryReservation    = 32
    portMappings         = [{ containerPortRange = "8000-8010" }]
    resourceRequirements = [{ type = "GPU", value = "1" }]
    dependsOn            = [{ containerName = "first", condition = "SUCCESS" }]
  }, {
    name              = "first"
    image             = var.image
    memory            = 32
    essential         = false
    disableNetworking = true
    user              = "worker"
  }])
  placement_constraints {
    type       = "memberOf"
    expression = "attribute:rack exists"
  }
}
resource "aws_ecs_service" "replica" {
  name                  = "terraformed"
  cluster               = data.aws_ecs_cluster.host.id
  task_definition       = aws_ecs_task_definition.app.arn
  desired_count         = var.count_of_tasks
  wait_for_steady_state = true
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  ordered_placement_strategy {
    type  = "binpack"
    field = "memory"
  }
  enable_ecs_managed_tags = true
  propagate_tags          = "SERVICE"
  tags                    = { word = var.word }
}
resource "aws_ecs_service" "daemon" {
  name                = "terraformed-daemon"
  cluster             = aws_ecs_cluster.own.id
  task_definition     = aws_ecs_task_definition.app.arn
  scheduling_strategy = "DAEMON"
  launch_type         = "EC2" # Else it would have the cluster's strategy, which such services may not.
}
resource "aws_ecs_service" "sets" {
  name          = "terraformed-sets"
  cluster       = data.aws_ecs_cluster.host.id
  desired_count = var.count_of_tasks
  deployment_controller { type = "EXTERNAL" }
}
resource "aws_ecs_task_set" "app" {
  service           = aws_ecs_service.sets.id
  cluster           = data.aws_ecs_cluster.host.id
  task_definition   = aws_ecs_task_definition.app.arn
  external_id       = var.word
  wait_until_stable = true
  force_delete      = true
  scale { value = 100 }
  tags = { word = var.word }
}
resource "aws_ecs_capacity_provider" "group" {
  name = "terraformed-group"
  auto_scaling_group_provider {
    auto_scaling_group_arn         = "arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:0e8b2c2e-0000-4000-8000-000000000000:autoScalingGroupName/group"
    managed_termination_protection = "DISABLED"
    managed_scaling {
      status                    = "ENABLED"
      target_capacity           = var.count_of_tasks * 40
      minimum_scaling_step_size = 1
      maximum_scaling_step_size = 100
      instance_warmup_period    = 300
    }
  }
  tags = { word = var.word }
}
resource "aws_ecs_cluster_capacity_providers" "own" {
  cluster_name       = aws_ecs_cluster.own.name
  capacity_providers = ["FARGATE", aws_ecs_capacity_provider.group.name]
  default_capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.group.name
    base              = 1
    weight            = var.count_of_tasks
  }
}
resource "aws_ecs_account_setting_default" "insights" {
  name  = "containerInsights"
  value = var.word == "two" ? "enhanced" : "enabled"
}
resource "aws_ecs_tag" "word" {
  resource_arn = data.aws_ecs_cluster.host.arn
  key          = "word"
  value        = var.word
}
output "account" { value = data.aws_caller_identity.me.account_id }
"""


def test_terraform_applies_updates_plans_nothing_and_destroys(roadstead, terraform):
    terraform("init", "-no-color")
    apply = ("apply", "-no-color", "-auto-approve")
    said = terraform(*apply)
    assert "Apply complete! Resources: 13 added" in said, said
    assert tell(roadstead, "terraformed")["runningCount"] == 1
    empty = ("plan", "-no-color", "-detailed-exitcode")  # Anything to do is exit code 2.
    assert "No changes." in terraform(*empty)

    changed = {"count_of_tasks": 2, "word": "two"}
    terraform(*apply, **changed)
    now = tell(roadstead, "terraformed")
    assert (now["runningCount"], family_revision(now["taskDefinition"])) == (2, "terraformed:2")
    assert [(one["externalId"], one["runningCount"]) for one in tell(roadstead, "terraformed-sets")["taskSets"]] == [("two", 2)]
    own = roadstead.ecs.describe_clusters(clusters=["terraformed"])["clusters"][0]
    assert own["defaultCapacityProviderStrategy"] == [{"capacityProvider": "terraformed-group", "weight": 2, "base": 1}]
    group = roadstead.ecs.describe_capacity_providers(capacityProviders=["terraformed-group"])["capacityProviders"][0]
    assert group["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"] == 80
    setting = roadstead.ecs.list_account_settings(name="containerInsights", effectiveSettings=True)["settings"][0]
    assert setting["value"] == "enhanced"
    stream = f"t/app/{task_id(roadstead.ecs.list_tasks(cluster=CLUSTER, serviceName='terraformed')['taskArns'][0])}"
    until(lambda: roadstead.messages("/terraform/app", stream) == ["two"], what="the task's output")
    assert "No changes." in terraform(*empty, **changed)

    said = terraform("destroy", "-no-color", "-auto-approve", **changed)
    assert "Destroy complete! Resources: 13 destroyed" in said, said
    assert tell(roadstead, "terraformed")["status"] == "INACTIVE"
    assert roadstead.ecs.describe_clusters(clusters=["terraformed"])["clusters"][0]["status"] == "INACTIVE"
    assert not roadstead.logs.describe_log_groups(logGroupNamePrefix="/terraform")["logGroups"]

"""Gives an emulator one running task, and prints its ARN. Runs in the peers' Python environment."""

import sys

import boto3

given = dict(endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
ecs, ec2 = boto3.client("ecs", **given), boto3.client("ec2", **given)
ecs.create_cluster(clusterName="default")
container = dict(name="c", image="bench:1", cpu=10, memory=16, essential=True, command=["sleep", "1000"])
ecs.register_task_definition(family="bench", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256",
                             memory="512", containerDefinitions=[container])
subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
network = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": []}}
started = ecs.run_task(cluster="default", taskDefinition="bench", launchType="FARGATE", networkConfiguration=network)
print(started["tasks"][0]["taskArn"])

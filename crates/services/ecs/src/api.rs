//! What is offered: the tables of operations, of an account and of a cluster.
//!
//! Commands work on a [`Txn`](state::Txn), reads on a snapshot; inputs meet the model's constraints when they come here.
//! What takes several shards, or waits for something outside, is left to the server. What an operation is authorised
//! on is from the [service authorization reference](https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html),
//! but for the keys of tags that resources have.

mod absent;
mod access;
mod page;

use state::{
    api::{
        Condition::{Made, Member, Tags},
        Handler::{self, Outside},
        Operation,
    },
    read, write,
};

use crate::{
    Account, Cluster,
    account::{self, daemon, settings},
    capacity::attach,
    clusters,
    instance::{agent, attributes, describe as instances, state as instance},
    service::{self, task_sets},
    task::{list, protection, report, run},
};

pub use absent::ABSENT;
pub use page::nested;

const INSIGHTS: &str =
    "`containerInsights` is kept and shown; metrics of clusters come when CloudWatch is built";
const NO_EXEC: &str = "`executeCommandConfiguration` is kept and shown; there are no commands to log before ExecuteCommand is built. \
     `managedStorageConfiguration` is refused";
const IDENTITY: &str = "the key says who the agent is; a document is read only where it brings the key of a Roadstead agent along";
const DEVICES: &str = "GPUs are those of the container instance; devices of type NEURON_DEVICE alone change nothing: no task can ask for one";
const RESOURCES: &str = "CPU, MEMORY, PORTS, PORTS_UDP and GPU count; of resources that users define nothing is kept: no task can ask for one";
const CORRELATION: &str = "only EC2 itself reads it";
const NO_AGENTS: &str = "no task has managed agents until ECS Exec is built";
const EXECUTION_ROLE: &str =
    "agents pull images and send logs with the host's own rights until IAM roles are built";
const POLL: &str = "every container instance is served at the same address";

const IN_CLUSTER: state::api::Condition = Made("ecs:cluster", access::cluster);
const STRATEGY: state::api::Condition = Made("ecs:capacity-provider", access::strategy);
const OF_SERVICE: state::api::Condition = Made("ecs:service", access::service);
const SETTING: state::api::Condition = Member("ecs:account-setting", "name");
const TAG_KEYS: state::api::Condition = Member("aws:TagKeys", "tagKeys");
/// Policies ask for these to be `false`, so they are so where nothing is said.
const EXEC: state::api::Condition = Made("ecs:enable-execute-command", access::exec);
const EBS: state::api::Condition = Made("ecs:enable-ebs-volumes", access::ebs);

/// Those on an account: task definitions and settings; and on which clusters there are, and on whatever an ARN names,
/// which the server carries out.
pub static ACCOUNT: &[Operation<Handler<Account>>] = &[
    Operation::new("CreateCluster", Outside)
        .on(access::cluster_to_be)
        .with(&[Made("ecs:capacity-provider", access::capacity_providers), Tags("tags")])
        .refusing(&["serviceConnectDefaults"])
        .without_effect(&[("settings", INSIGHTS), ("configuration", NO_EXEC)])
        .growing(),
    Operation::new("DescribeClusters", Outside).on(access::clusters),
    Operation::new("ListClusters", Outside),
    Operation::new("RegisterTaskDefinition", write!(account::register_task_definition))
        .on(access::definition_to_be)
        .with(&[
            Tags("tags"),
            Member("ecs:compute-compatibility", "requiresCompatibilities"),
            Made("ecs:privileged", access::privileged),
            Made("ecs:task-cpu", access::cpu),
            Made("ecs:task-memory", access::memory),
        ])
        .refusing(&["taskRoleArn", "proxyConfiguration", "enableFaultInjection"])
        .without_effect(&[("executionRoleArn", EXECUTION_ROLE)])
        .growing(),
    Operation::new("DescribeTaskDefinition", read!(account::describe_task_definition)),
    Operation::new("ListTaskDefinitions", read!(account::list_task_definitions)),
    Operation::new("ListTaskDefinitionFamilies", read!(account::list_task_definition_families)),
    Operation::new("DeregisterTaskDefinition", write!(account::deregister_task_definition)),
    Operation::new("DeleteTaskDefinitions", write!(account::delete_task_definitions)).on(access::definitions),
    Operation::new("RegisterDaemonTaskDefinition", write!(daemon::register_daemon_task_definition))
        .on(access::daemon_definition_to_be)
        .with(&[
            Tags("tags"),
            Made("ecs:privileged", access::privileged),
            Made("ecs:task-cpu", access::cpu),
            Made("ecs:task-memory", access::memory),
        ])
        .refusing(&["taskRoleArn"])
        .without_effect(&[("executionRoleArn", EXECUTION_ROLE)])
        .growing(),
    Operation::new("DescribeDaemonTaskDefinition", read!(daemon::describe_daemon_task_definition))
        .on(access::daemon_definition),
    Operation::new("ListDaemonTaskDefinitions", read!(daemon::list_daemon_task_definitions)),
    Operation::new("DeleteDaemonTaskDefinition", write!(daemon::delete_daemon_task_definition))
        .on(access::daemon_definition),
    // The ARN of a cluster, or of what is in one, names the cluster of these.
    Operation::new("CreateDaemon", Outside)
        .on(access::daemon_to_be)
        .with(CREATED_DAEMON)
        .refusing(&["enableExecuteCommand"])
        .growing(),
    // Not one that grows: it may roll back what does.
    Operation::new("UpdateDaemon", Outside)
        .on(access::daemon)
        .with(DAEMON)
        .refusing(&["enableExecuteCommand"]),
    Operation::new("DeleteDaemon", Outside).on(access::daemon).with(&[OF_DAEMON]),
    Operation::new("DescribeDaemon", Outside).on(access::daemon).with(&[OF_DAEMON]),
    Operation::new("ListDaemons", Outside).with(&[Made("ecs:cluster", access::cluster_by_arn)]),
    Operation::new("ListDaemonDeployments", Outside).on(access::daemon).with(&[OF_DAEMON]),
    Operation::new("DescribeDaemonDeployments", Outside).on(access::daemon_deployments).with(&[
        Made("ecs:cluster", access::clusters_of_daemon_deployments),
        Made("ecs:daemon", access::daemons_of_deployments),
    ]),
    Operation::new("DescribeDaemonRevisions", Outside).on(access::daemon_revisions).with(&[
        Made("ecs:cluster", access::clusters_of_daemon_revisions),
        Made("ecs:daemon", access::daemons_of_revisions),
    ]),
    Operation::new("ListAccountSettings", read!(settings::list_account_settings)),
    Operation::new("PutAccountSetting", write!(settings::put_account_setting)).with(&[SETTING]).growing(),
    Operation::new("PutAccountSettingDefault", write!(settings::put_account_setting_default))
        .with(&[SETTING])
        .growing(),
    Operation::new("DeleteAccountSetting", write!(settings::delete_account_setting)).with(&[SETTING]),
    Operation::new("ListServicesByNamespace", read!(service::list::list_services_by_namespace)),
    // One of managed instances belongs to a cluster, and what is deleted is asked of all.
    Operation::new("CreateCapacityProvider", Outside)
        .on(access::provider_to_be)
        .with(&[Tags("tags")])
        .without_effect(PROVIDERS)
        .growing(),
    Operation::new("UpdateCapacityProvider", write!(account::providers::update_capacity_provider))
        .on(access::provider_by_name)
        .without_effect(PROVIDERS),
    Operation::new("DeleteCapacityProvider", Outside).on(access::provider),
    Operation::new("DescribeCapacityProviders", Outside).on(access::providers),
    // An ARN names the cluster of these.
    Operation::new("DescribeServiceDeployments", Outside).on(access::deployments),
    Operation::new("DescribeServiceRevisions", Outside).on(access::revisions),
    Operation::new("StopServiceDeployment", Outside).on(access::deployment),
    Operation::new("ContinueServiceDeployment", Outside).on(access::deployment),
    Operation::new("TagResource", Outside).on(access::resource).with(&[Tags("tags")]).growing(),
    Operation::new("UntagResource", Outside).on(access::resource).with(&[TAG_KEYS]),
    Operation::new("ListTagsForResource", Outside).on(access::resource),
];

/// Those on the cluster that `cluster` of the input names, or on `default`.
pub static CLUSTER: &[Operation<Handler<Cluster>>] = &[
    Operation::new("UpdateCluster", write!(clusters::update_cluster))
        .on(access::cluster)
        .refusing(&["serviceConnectDefaults"])
        .without_effect(&[("settings", INSIGHTS), ("configuration", NO_EXEC)])
        .growing(),
    Operation::new("UpdateClusterSettings", write!(clusters::update_cluster_settings))
        .on(access::cluster)
        .without_effect(&[("settings", INSIGHTS)]),
    Operation::new("PutClusterCapacityProviders", write!(attach::put_cluster_capacity_providers))
        .on(access::cluster)
        .with(&[Made("ecs:capacity-provider", access::capacity_providers)])
        .growing(),
    Operation::new("DeleteCluster", write!(clusters::delete_cluster)).on(access::cluster),
    Operation::new("RunTask", write!(run::run_task))
        .on(access::definition)
        .with(&[IN_CLUSTER, STRATEGY, EXEC, EBS, Tags("tags")])
        .refusing(&["enableExecuteCommand", "volumeConfigurations"])
        .without_effect(&[("referenceId", CORRELATION)])
        .growing(),
    Operation::new("StartTask", write!(run::start_task))
        .on(access::definition)
        .with(&[IN_CLUSTER, Made("ecs:container-instances", access::instances), EXEC, EBS, Tags("tags")])
        .refusing(&["enableExecuteCommand", "volumeConfigurations"])
        .without_effect(&[("referenceId", CORRELATION)])
        .growing(),
    // A task whose row was set aside is given up.
    Operation::new("StopTask", Outside).on(access::task).with(&[IN_CLUSTER]),
    // Those of a cluster that is INACTIVE too.
    Operation::new("DescribeTasks", Outside).on(access::tasks).with(&[IN_CLUSTER]),
    Operation::new("GetTaskProtection", read!(protection::get_task_protection))
        .on(access::tasks)
        .with(&[IN_CLUSTER]),
    Operation::new("UpdateTaskProtection", write!(protection::update_task_protection))
        .on(access::tasks)
        .with(&[IN_CLUSTER]),
    Operation::new("ListTasks", read!(list::list_tasks)).on(access::instance_or_all).with(&[IN_CLUSTER]),
    Operation::new("CreateService", write!(service::create::create_service))
        .on(access::service_to_be)
        .with(SERVICE)
        .refusing(&[
            "loadBalancers",
            "serviceRegistries",
            "enableExecuteCommand",
            "serviceConnectConfiguration",
            "volumeConfigurations",
            "vpcLatticeConfigurations",
            "gatewayConnectors",
            "monitoring",
            "role",
        ])
        .growing(),
    // Not one that grows: it may scale to nought.
    Operation::new("UpdateService", write!(service::update::update_service))
        .on(access::service)
        .with(SERVICE)
        .refusing(&[
            "loadBalancers",
            "serviceRegistries",
            "enableExecuteCommand",
            "serviceConnectConfiguration",
            "volumeConfigurations",
            "vpcLatticeConfigurations",
            "gatewayConnectors",
            "monitoring",
        ]),
    Operation::new("DeleteService", write!(service::delete::delete_service))
        .on(access::service)
        .with(&[IN_CLUSTER]),
    Operation::new("DescribeServices", read!(service::describe::describe_services))
        .on(access::services)
        .with(&[IN_CLUSTER]),
    Operation::new("ListServices", read!(service::list::list_services)).with(&[IN_CLUSTER]),
    Operation::new("ListServiceDeployments", read!(service::deployment::list::list_service_deployments))
        .on(access::service)
        .with(&[IN_CLUSTER]),
    Operation::new("CreateTaskSet", write!(task_sets::create::create_task_set))
        .on(access::task_set_to_be)
        .with(&[
            IN_CLUSTER,
            OF_SERVICE,
            Made("ecs:task-definition", access::definition),
            STRATEGY,
            Tags("tags"),
        ])
        .refusing(&["loadBalancers", "serviceRegistries"])
        .growing(),
    // Not one that grows: it may scale to nought.
    Operation::new("UpdateTaskSet", write!(task_sets::change::update_task_set))
        .on(access::task_set)
        .with(&[IN_CLUSTER, OF_SERVICE]),
    Operation::new("DeleteTaskSet", write!(task_sets::change::delete_task_set))
        .on(access::task_set)
        .with(&[IN_CLUSTER, OF_SERVICE]),
    Operation::new("DescribeTaskSets", read!(task_sets::describe::describe_task_sets))
        .on(access::task_sets)
        .with(&[IN_CLUSTER, OF_SERVICE]),
    Operation::new("UpdateServicePrimaryTaskSet", write!(task_sets::change::update_service_primary_task_set))
        .on(access::service)
        .with(&[IN_CLUSTER]),
    Operation::new("DescribeContainerInstances", read!(instances::describe_container_instances))
        .on(access::instances)
        .with(&[IN_CLUSTER]),
    Operation::new("ListContainerInstances", read!(instances::list_container_instances)).on(access::cluster),
    Operation::new("UpdateContainerInstancesState", write!(instance::update_container_instances_state))
        .on(access::instances)
        .with(&[IN_CLUSTER]),
    Operation::new("DeregisterContainerInstance", write!(instance::deregister_container_instance))
        .on(access::cluster),
    Operation::new("PutAttributes", write!(attributes::put_attributes))
        .on(access::targets)
        .with(&[IN_CLUSTER])
        .growing(),
    Operation::new("DeleteAttributes", write!(attributes::delete_attributes))
        .on(access::targets)
        .with(&[IN_CLUSTER]),
    Operation::new("ListAttributes", read!(attributes::list_attributes)).on(access::cluster),
    // Its key is bound on the account first. Not one that grows: the tasks of a host that comes back are to be stopped.
    Operation::new("RegisterContainerInstance", Outside)
        .on(access::cluster)
        .with(&[Tags("tags")])
        .without_effect(&[
            ("instanceIdentityDocumentSignature", IDENTITY),
            ("platformDevices", DEVICES),
            ("totalResources", RESOURCES),
        ]),
    Operation::new("UpdateContainerAgent", write!(agent::update_container_agent))
        .on(access::instance_of)
        .with(&[IN_CLUSTER]),
    Operation::new("DiscoverPollEndpoint", Outside).without_effect(&[("containerInstance", POLL)]),
    Operation::new("SubmitTaskStateChange", write!(report::submit_task_state_change))
        .on(access::cluster)
        .without_effect(&[("managedAgents", NO_AGENTS)]),
    Operation::new("SubmitContainerStateChange", write!(report::submit_container_state_change))
        .on(access::cluster),
    Operation::new("SubmitAttachmentStateChanges", write!(agent::submit_attachment_state_changes))
        .on(access::cluster),
];

const PROVIDERS: &[(&str, &str)] = &[
    (
        "autoScalingGroupProvider",
        "nothing scales, drains or protects a group until EC2 Auto Scaling is built; `managedScaling.status` alone counts: \
         tasks wait for one that is ENABLED",
    ),
    ("managedInstancesProvider", "nothing launches instances until EC2 is built"),
];

const SERVICE: &[state::api::Condition] = &[
    IN_CLUSTER,
    STRATEGY,
    Made("ecs:task-definition", access::definition),
    EXEC,
    EBS,
    Made("ecs:enable-service-connect", access::service_connect),
    Made("ecs:enable-vpc-lattice", access::vpc_lattice),
    Member("ecs:enable-ecs-managed-tags", "enableECSManagedTags"),
    Member("ecs:propagate-tags", "propagateTags"),
    Made("ecs:auto-assign-public-ip", access::public_ip),
    Member("ecs:subnet", "networkConfiguration.awsvpcConfiguration.subnets"),
    Tags("tags"),
];

/// The cluster of `daemonArn`.
const OF_DAEMON: state::api::Condition = Made("ecs:cluster", access::cluster_of_daemon);

const CREATED_DAEMON: &[state::api::Condition] = &[
    Made("ecs:cluster", access::cluster_by_arn),
    Made("ecs:daemon-task-definition", access::definition_of_daemon),
    EXEC,
    Member("ecs:enable-ecs-managed-tags", "enableECSManagedTags"),
    Member("ecs:propagate-tags", "propagateTags"),
    Member("ecs:capacity-provider", "capacityProviderArns"),
    Tags("tags"),
];

const DAEMON: &[state::api::Condition] = &[
    OF_DAEMON,
    Made("ecs:daemon-task-definition", access::definition_of_daemon),
    EXEC,
    Member("ecs:enable-ecs-managed-tags", "enableECSManagedTags"),
    Member("ecs:propagate-tags", "propagateTags"),
    Member("ecs:capacity-provider", "capacityProviderArns"),
];

#[cfg(test)]
mod tests;

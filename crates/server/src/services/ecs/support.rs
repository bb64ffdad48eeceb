//! What of the ECS API is built. docs/support.md is made from this table; nested members of task
//! definitions are listed in the service (`account::members`).

use ::ecs::account::members;

use crate::gate::{Built, Support};

const ONE_ZONE: &str = "all container instances are in one zone until zones can be configured";
const IDENTITY: &str = "the key says who the agent is; a document is read only where it brings the key of a Roadstead agent along";
const CORRELATION: &str = "only EC2 itself reads it";
const NO_ATTACHMENTS: &str = "no task has attachments or managed agents until awsvpc and ECS Exec are built";

const EXECUTION_ROLE: &str =
    "agents pull images and send logs with the host's own rights until IAM roles are built";
const POLL: &str = "every container instance is served at the same address";

/// The table.
pub static SUPPORT: Support = Support {
    built: &[
        Built::whole("CreateCluster").refusing(&[
            "capacityProviders",
            "defaultCapacityProviderStrategy",
            "serviceConnectDefaults",
        ]),
        Built::whole("DescribeClusters"),
        Built::whole("ListClusters"),
        Built::whole("UpdateCluster").refusing(&["serviceConnectDefaults"]),
        Built::whole("UpdateClusterSettings"),
        Built::whole("DeleteCluster"),
        Built::whole("RegisterTaskDefinition")
            .refusing(&[
                "taskRoleArn",
                "pidMode",
                "ipcMode",
                "proxyConfiguration",
                "inferenceAccelerators",
                "ephemeralStorage",
                "enableFaultInjection",
                "trustedExecutionConfiguration",
            ])
            .without_effect(&[("executionRoleArn", EXECUTION_ROLE)]),
        Built::whole("DescribeTaskDefinition"),
        Built::whole("ListTaskDefinitions"),
        Built::whole("ListTaskDefinitionFamilies"),
        Built::whole("DeregisterTaskDefinition"),
        Built::whole("DeleteTaskDefinitions"),
        Built::whole("RunTask")
            .refusing(&[
                "capacityProviderStrategy",
                "enableExecuteCommand",
                "platformVersion",
                "volumeConfigurations",
            ])
            .without_effect(&[("referenceId", CORRELATION)]),
        Built::whole("StartTask")
            .refusing(&["enableExecuteCommand", "volumeConfigurations"])
            .without_effect(&[("referenceId", CORRELATION)]),
        Built::whole("StopTask"),
        Built::whole("DescribeTasks"),
        Built::whole("ListTasks").refusing(&["daemonName"]),
        Built::whole("CreateService")
            .refusing(&[
                "loadBalancers",
                "serviceRegistries",
                "capacityProviderStrategy",
                "platformVersion",
                "healthCheckGracePeriodSeconds",
                "enableExecuteCommand",
                "serviceConnectConfiguration",
                "volumeConfigurations",
                "vpcLatticeConfigurations",
                "gatewayConnectors",
                "monitoring",
                "role",
            ])
            .without_effect(&[("availabilityZoneRebalancing", ONE_ZONE)]),
        Built::whole("UpdateService")
            .refusing(&[
                "loadBalancers",
                "serviceRegistries",
                "capacityProviderStrategy",
                "platformVersion",
                "healthCheckGracePeriodSeconds",
                "enableExecuteCommand",
                "serviceConnectConfiguration",
                "volumeConfigurations",
                "vpcLatticeConfigurations",
                "gatewayConnectors",
                "monitoring",
                "networkConfiguration",
            ])
            .without_effect(&[("availabilityZoneRebalancing", ONE_ZONE)]),
        Built::whole("DeleteService"),
        Built::whole("DescribeServices"),
        Built::whole("ListServices").refusing(&["resourceManagementType"]),
        Built::whole("DescribeContainerInstances"),
        Built::whole("ListContainerInstances"),
        Built::whole("UpdateContainerInstancesState"),
        Built::whole("DeregisterContainerInstance"),
        Built::whole("PutAttributes"),
        Built::whole("DeleteAttributes"),
        Built::whole("ListAttributes"),
        Built::whole("RegisterContainerInstance")
            .refusing(&["platformDevices"])
            .without_effect(&[("instanceIdentityDocumentSignature", IDENTITY)]),
        Built::whole("DiscoverPollEndpoint").without_effect(&[("containerInstance", POLL)]),
        Built::whole("SubmitTaskStateChange")
            .without_effect(&[("attachments", NO_ATTACHMENTS), ("managedAgents", NO_ATTACHMENTS)]),
        Built::whole("SubmitContainerStateChange"),
        Built::whole("ListAccountSettings"),
        Built::whole("PutAccountSetting"),
        Built::whole("PutAccountSettingDefault"),
        Built::whole("DeleteAccountSetting"),
        Built::whole("TagResource"),
        Built::whole("UntagResource"),
        Built::whole("ListTagsForResource"),
    ],
    absent: super::absent::ABSENT,
};

/// The members inside of task definitions and overrides that are not built, as the service decides them: the
/// rest of docs/support.md.
pub fn nested() -> String {
    let mut out = String::from(
        "\n## Inside of task definitions and overrides\n\nMembers that are not listed, and not below one that \
         is refused, are built.\n\n| member | |\n|---|---|\n",
    );
    for (place, table) in [("", members::MEMBERS), ("overrides.", members::OVERRIDES)] {
        let mut refused = None;
        for (path, support) in table {
            let below = |parent: &str| path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'));
            if refused.is_some_and(below) {
                continue;
            }
            let what = match support {
                members::Support::Built => continue,
                members::Support::Values(values, why) => format!("only {}: {why}", values.join(", ")),
                members::Support::NoEffect(why) => format!("without effect: {why}"),
                members::Support::Refused(why) => {
                    refused = Some(path);
                    format!("refused: {why}")
                }
            };
            out.push_str(&format!("| `{place}{path}` | {what} |\n"));
        }
    }
    out.push_str("\nThe options of `logConfiguration` that are built; any other is refused.\n\n| driver | options |\n|---|---|\n");
    for (driver, options) in members::LOG_OPTIONS {
        out.push_str(&format!("| `{driver}` | `{}` |\n", options.join("`, `")));
    }
    out
}

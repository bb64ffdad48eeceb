//! The query of the URL that an agent connects to. ACS and TCS name two of the parameters differently.

use std::net::Ipv4Addr;

/// What an agent says of itself when it connects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connect {
    /// The cluster as the agent was configured: a name or an ARN.
    pub cluster: String,
    /// The container instance's ARN.
    pub container_instance: String,
    /// The agent's version.
    pub agent_version: String,
    /// The agent's commit.
    pub agent_hash: String,
    /// The engine's version, without ACS's `DockerVersion: ` before it.
    pub docker_version: String,
    /// ACS only: 2.
    pub protocol_version: u32,
    /// ACS only: whether the agent wants the role credentials of its running tasks.
    pub send_credentials: bool,
    /// ACS only: the last payload's sequence number that the agent has seen.
    pub seq_num: i64,
    /// ACS only, and no parameter of AWS's: whether the agent knows [`VpcMessage`](super::VpcMessage). Only then it
    /// is sent.
    pub knows_vpc: bool,
    /// ACS only, and no parameter of AWS's: where other hosts reach the agent's, should they.
    pub address: Option<Ipv4Addr>,
}

const ADDRESS: &str = "roadstead:address";
const KNOWS_VPC: &str = "roadstead:vpc";
const DOCKER_VERSION: &str = "DockerVersion: ";

impl Connect {
    /// Reads the query of an ACS or TCS URL. What is missing is empty, what is not known is skipped.
    pub fn parse(query: &str) -> Self {
        let mut connect = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "clusterArn" | "cluster" => connect.cluster = value.into_owned(),
                "containerInstanceArn" | "containerInstance" => {
                    connect.container_instance = value.into_owned()
                }
                "agentVersion" => connect.agent_version = value.into_owned(),
                "agentHash" => connect.agent_hash = value.into_owned(),
                "dockerVersion" => {
                    connect.docker_version = value.strip_prefix(DOCKER_VERSION).unwrap_or(&value).to_owned();
                }
                "protocolVersion" => connect.protocol_version = value.parse().unwrap_or_default(),
                "sendCredentials" => connect.send_credentials = value == "true",
                "seqNum" => connect.seq_num = value.parse().unwrap_or_default(),
                KNOWS_VPC => connect.knows_vpc = value == "true",
                ADDRESS => connect.address = value.parse().ok(),
                _ => {}
            }
        }
        connect
    }

    /// The query of an ACS URL, sorted by name.
    pub fn acs_query(&self) -> String {
        let docker = format!("{DOCKER_VERSION}{}", self.docker_version);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("agentHash", &self.agent_hash)
            .append_pair("agentVersion", &self.agent_version)
            .append_pair("clusterArn", &self.cluster)
            .append_pair("containerInstanceArn", &self.container_instance)
            .append_pair("dockerVersion", &docker)
            .append_pair("protocolVersion", &self.protocol_version.to_string());
        if let Some(address) = self.address {
            query.append_pair(ADDRESS, &address.to_string());
        }
        if self.knows_vpc {
            query.append_pair(KNOWS_VPC, "true");
        }
        query
            .append_pair("sendCredentials", if self.send_credentials { "true" } else { "false" })
            .append_pair("seqNum", &self.seq_num.to_string())
            .finish()
    }

    /// The query of a TCS URL, sorted by name.
    pub fn tcs_query(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("agentHash", &self.agent_hash)
            .append_pair("agentVersion", &self.agent_version)
            .append_pair("cluster", &self.cluster)
            .append_pair("containerInstance", &self.container_instance)
            .append_pair("dockerVersion", &self.docker_version)
            .finish()
    }
}

//! Where the members of an expression are to be looked for: what an index says of attributes and groups spares a look
//! at the instances that have them not.

use super::{Node, Query, Subject, Test, Value};
use crate::cluster::{Cluster, InstanceFacet, InstanceId, seek::Seek};

impl Query {
    /// Container instances of which every member is one; `None` where no index says which those are.
    pub fn narrowed<'a>(&self, state: &'a Cluster) -> Option<Seek<'a, InstanceId>> {
        self.node.narrowed(state)
    }
}

impl Node {
    fn narrowed<'a>(&self, state: &'a Cluster) -> Option<Seek<'a, InstanceId>> {
        match self {
            Node::And(nodes) => {
                let known: Vec<_> = nodes.iter().filter_map(|node| node.narrowed(state)).collect();
                (!known.is_empty()).then_some(Seek::All(known))
            }
            Node::Or(nodes) => {
                nodes.iter().map(|node| node.narrowed(state)).collect::<Option<_>>().map(Seek::Any)
            }
            Node::Not(_) => None,
            Node::Is(subject, test) => narrowed(subject, test, state),
        }
    }
}

fn narrowed<'a>(subject: &Subject, test: &Test, state: &'a Cluster) -> Option<Seek<'a, InstanceId>> {
    let one_of: Option<Vec<&str>> = match test {
        Test::Equals(true, Value::Text(text)) => Some(vec![text]),
        Test::In(true, values) => values.iter().map(text).collect(),
        _ => None,
    };
    let any = |of: &dyn Fn(&str) -> Seek<'a, InstanceId>| {
        one_of.as_ref().map(|texts| Seek::Any(texts.iter().map(|text| of(text)).collect()))
    };
    match (subject, test) {
        (Subject::Attribute(_), Test::Exists(false)) => None,
        (Subject::Attribute(name), _) => {
            let named = || state.seek_instances(InstanceFacet::Attribute(name));
            // One that has no value counts as one whose value is empty.
            let of = |value: &str| match value {
                "" => named(),
                value => state.seek_instances(InstanceFacet::AttributeValue(name, value)),
            };
            any(&of).or_else(|| Some(named()))
        }
        (Subject::Ec2InstanceId, _) => any(&|id| state.seek_instances(InstanceFacet::Ec2InstanceId(id))),
        (Subject::AgentConnected, _) => any(&|word| match word {
            "true" => state.seek_instances(InstanceFacet::Connected(true)),
            "false" => state.seek_instances(InstanceFacet::Connected(false)),
            _ => Seek::Any(Vec::new()),
        }),
        (Subject::TaskGroup, _) => any(&|group| state.seek_instances_of_group(group)),
        (Subject::AgentVersion | Subject::RegisteredAt | Subject::RunningTasksCount, _) => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::Number(_) | Value::Version(_) | Value::Time(_) => None,
    }
}

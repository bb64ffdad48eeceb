//! The next revision of a task definition, in which containers run other images. Pure.

use anyhow::bail;
use serde_json::Value;

/// What DescribeTaskDefinition shows of a revision that RegisterTaskDefinition does not take.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html>
const OF_REVISION: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// A container is to run an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    container: String,
    image: String,
}

impl std::str::FromStr for Change {
    type Err = &'static str;

    /// An image's name may have a `=` of its own; a container's has none.
    fn from_str(text: &str) -> Result<Change, Self::Err> {
        match text.split_once('=') {
            Some((container, image)) if !container.is_empty() && !image.is_empty() => {
                Ok(Change { container: container.to_owned(), image: image.to_owned() })
            }
            _ => Err("it is no CONTAINER=IMAGE"),
        }
    }
}

/// What to register, of what DescribeTaskDefinition has answered with TAGS: `None` where nothing would differ.
///
/// # Errors
/// A container is named that is none of the definition's.
pub fn revised(described: &Value, changes: &[Change]) -> anyhow::Result<Option<Value>> {
    let mut next = described["taskDefinition"].clone();
    let Some(members) = next.as_object_mut() else { bail!("the answer has no task definition") };
    members.retain(|name, _| !OF_REVISION.contains(&name.as_str()));
    // Those of AWS's own, such as CloudFormation's, nobody else may give.
    let is_own = |tag: &&Value| !tag["key"].as_str().unwrap_or_default().starts_with("aws:");
    let tags: Vec<Value> =
        described["tags"].as_array().into_iter().flatten().filter(is_own).cloned().collect();
    if !tags.is_empty() {
        members.insert("tags".to_owned(), tags.into());
    }
    let Some(containers) = next["containerDefinitions"].as_array_mut() else {
        bail!("the answer has no containers")
    };
    let mut differs = false;
    for Change { container, image } in changes {
        let Some(found) = containers.iter_mut().find(|one| one["name"] == container.as_str()) else {
            let names: Vec<&str> = containers.iter().filter_map(|one| one["name"].as_str()).collect();
            bail!("the task definition has no container {container}, it has {}", names.join(", "));
        };
        differs |= found["image"] != image.as_str();
        found["image"] = image.as_str().into();
    }
    Ok(differs.then_some(next))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changes(texts: &[&str]) -> Vec<Change> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn described() -> Value {
        json!({
            "taskDefinition": {
                "taskDefinitionArn": "arn:aws:ecs:us-east-1:000000000000:task-definition/web:3",
                "family": "web", "revision": 3, "status": "ACTIVE", "cpu": "256",
                "requiresAttributes": [{"name": "a"}], "compatibilities": ["EC2"], "registeredAt": 1.5, "registeredBy": "me",
                "volumes": [{"name": "v"}],
                "containerDefinitions": [
                    {"name": "app", "image": "app:1", "environment": [{"name": "A", "value": "b=c"}]},
                    {"name": "side", "image": "side:1"},
                ],
            },
            "tags": [{"key": "team", "value": "blue"}, {"key": "aws:cloudformation:stack-name", "value": "s"}],
        })
    }

    #[test]
    fn nothing_differs_but_the_images_that_are_named() {
        let next = revised(&described(), &changes(&["app=app:2"])).unwrap();
        let expected = json!({
            "family": "web", "cpu": "256", "volumes": [{"name": "v"}],
            "containerDefinitions": [
                {"name": "app", "image": "app:2", "environment": [{"name": "A", "value": "b=c"}]},
                {"name": "side", "image": "side:1"},
            ],
            "tags": [{"key": "team", "value": "blue"}],
        });
        assert_eq!(next, Some(expected));
        let both = revised(&described(), &changes(&["app=app@sha256:0=", "side=side:2"])).unwrap().unwrap();
        let images = both["containerDefinitions"].as_array().unwrap().iter().map(|one| &one["image"]);
        assert_eq!(images.collect::<Vec<_>>(), ["app@sha256:0=", "side:2"]);
    }

    #[test]
    fn the_same_images_make_no_revision() {
        assert_eq!(revised(&described(), &changes(&["side=side:1", "app=app:1"])).unwrap(), None);
    }

    #[test]
    fn a_container_that_is_not_there_is_named_beside_those_that_are() {
        let error = revised(&described(), &changes(&["ap=app:2"])).unwrap_err();
        assert_eq!(error.to_string(), "the task definition has no container ap, it has app, side");
    }

    #[test]
    fn what_names_no_container_or_no_image_is_refused() {
        for text in ["app", "=app:1", "app="] {
            assert!(text.parse::<Change>().is_err(), "{text}");
        }
    }
}

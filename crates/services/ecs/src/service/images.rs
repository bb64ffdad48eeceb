//! One image for all tasks of a deployment, wherever its tag leads meanwhile: the first agent that resolves the image of a
//! container says to which digest, and every later task of the revision gets that one. Tasks that began side by side with the
//! first, and came to another image, are replaced. Not for tasks without a service, nor for those of task sets, which
//! have no revision.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html#deployment-container-image-stability>

use ecs_model as ecs;

use crate::{
    cluster::{
        Cluster, ContainerDefinition, Desired, ImageDigest, ServiceImagesRow, ServiceRevisionRow, TaskRow,
        TaskStopCode, Txn, VersionConsistency, Writes,
    },
    task,
};

/// Whether the image of a container is resolved once for a deployment. One that is named by its digest is, as it stands.
fn is_resolved(container: &ContainerDefinition) -> bool {
    container.version_consistency != Some(VersionConsistency::Disabled) && named(&container.image).is_none()
}

/// The digest by which an image is named.
fn named(image: &str) -> Option<&str> {
    image.split_once('@').map(|(_, digest)| digest)
}

/// Whether a text is a digest: agents say what they like.
fn is_digest(text: &str) -> bool {
    let hash = text.strip_prefix("sha256:").unwrap_or_default();
    hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// An agent has reported a task: what it says of images first is kept for the revision.
pub fn reported(txn: &mut Txn, before: &TaskRow, after: &TaskRow) {
    let Some((service, id)) = &after.service else { return };
    let news = after.containers.iter().zip(&before.containers);
    let news = news.filter(|(is, was)| is.image_digest != was.image_digest).map(|(is, _)| is);
    let mut news = news.filter(|is| is.image_digest.as_deref().is_some_and(is_digest)).peekable();
    if news.peek().is_none() || txn.state.revision(service, *id).is_none() {
        return;
    }
    let account = txn.ports.account.clone();
    let Some(definition) = account.definition_of(after) else { return };
    let none = || ServiceImagesRow { service: service.clone(), id: *id, digests: Vec::new() };
    let mut row = txn.state.images(service, *id).map_or_else(none, |row| row.as_ref().clone());
    let known = row.digests.len();
    let mut another = None;
    for container in news {
        let of = definition.containers().iter().find(|of| of.name == container.name);
        let Some(digest) = container.image_digest.clone().filter(|_| of.is_some_and(is_resolved)) else {
            continue;
        };
        match row.digest(&container.name) {
            None => {
                let (container_name, at) = (container.name.clone(), txn.now());
                row.digests.push(ImageDigest { container_name, digest, at });
            }
            // One that has begun since was told which image to run. Where the clock was set back since, nobody knows.
            Some(first)
                if first.digest != digest && after.created_at <= first.at && first.at <= txn.now() =>
            {
                another = Some((container.name.clone(), digest, first.digest.clone()));
            }
            Some(_) => {}
        }
    }
    if row.digests.len() > known {
        txn.take_over(service);
        txn.put(row);
    }
    if let Some((name, digest, first)) = another.filter(|_| after.desired == Desired::Running) {
        let reason = format!(
            "The image of container {name} was resolved to {digest}, and that of its deployment to {first}"
        );
        task::stop::want(txn, &after.id, TaskStopCode::ServiceSchedulerInitiated, reason);
    }
}

/// The image of a container as its agent is told of it.
pub fn assigned(state: &Cluster, task: &TaskRow, container: &ContainerDefinition) -> String {
    let images = task.service.as_ref().and_then(|(service, id)| state.images(service, *id));
    match images.and_then(|images| images.digest(&container.name)) {
        Some(of) => format!("{}@{}", container.image, of.digest),
        None => container.image.clone(),
    }
}

/// The images of a revision as the API shows them.
pub fn shown(state: &Cluster, row: &ServiceRevisionRow) -> Vec<ecs::ContainerImage> {
    let images = state.images(&row.service, row.id);
    let one = |of: &crate::cluster::ContainerImage| {
        let known = images.and_then(|images| images.digest(&of.container_name));
        let digest = known.map(|known| &*known.digest).or(named(&of.image));
        ecs::ContainerImage {
            container_name: Some(of.container_name.clone()),
            image_digest: digest.map(str::to_owned),
            image: Some(of.image.clone()),
        }
    };
    row.images.iter().map(one).collect()
}

#[cfg(test)]
mod tests;

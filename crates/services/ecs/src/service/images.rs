//! One image for all tasks of a deployment, of a service or of a daemon, wherever its tag leads meanwhile: the first agent that
//! resolves the image of a container says to which digest, and every later task of the revision gets that one. Tasks that began
//! side by side with the first, and came to another image, are replaced. Not for tasks of neither, nor for those of task sets,
//! which have no revision: ECS says so of services alone, and of daemons that their revisions have digests.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html#deployment-container-image-stability>
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DaemonContainerImage.html>

use ecs_model as ecs;

use crate::{
    cluster::{
        Cluster, ContainerDefinition, ContainerImage, DaemonRevisionRow, Desired, ImageDigest,
        ServiceImagesRow, ServiceRevisionRow, TaskRow, TaskStopCode, Txn, VersionConsistency, Writes,
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

/// The revision that a task is of.
enum Revision {
    Service(ServiceImagesRow),
    Daemon(DaemonRevisionRow),
}

impl Revision {
    /// None for a task of neither, of a task set, or of a revision that is not there any more.
    fn of(state: &Cluster, task: &TaskRow) -> Option<Revision> {
        if let Some(of) = &task.daemon {
            let row = state.daemon_revision(&of.name, &of.revision)?;
            return Some(Revision::Daemon(row.as_ref().clone()));
        }
        let (service, id) = task.service.as_ref()?;
        state.revision(service, *id)?;
        let none = || ServiceImagesRow { service: service.clone(), id: *id, digests: Vec::new() };
        Some(Revision::Service(state.images(service, *id).map_or_else(none, |row| row.as_ref().clone())))
    }

    fn digests(&mut self) -> &mut Vec<ImageDigest> {
        match self {
            Revision::Service(row) => &mut row.digests,
            Revision::Daemon(row) => &mut row.digests,
        }
    }

    fn put(self, txn: &mut Txn) {
        match self {
            Revision::Service(row) => {
                txn.take_over(&row.service);
                txn.put(row);
            }
            Revision::Daemon(row) => txn.put(row),
        }
    }
}

/// What is known of a container's image.
fn known<'a>(digests: &'a [ImageDigest], container: &str) -> Option<&'a ImageDigest> {
    digests.iter().find(|known| known.container_name == container)
}

/// An agent has reported a task: what it says of images first is kept for the revision.
pub fn reported(txn: &mut Txn, before: &TaskRow, after: &TaskRow) {
    let news = after.containers.iter().zip(&before.containers);
    let news = news.filter(|(is, was)| is.image_digest != was.image_digest).map(|(is, _)| is);
    let mut news = news.filter(|is| is.image_digest.as_deref().is_some_and(is_digest)).peekable();
    if news.peek().is_none() {
        return;
    }
    let Some(mut revision) = Revision::of(txn.state, after) else { return };
    let account = txn.ports.account.clone();
    let Some(definition) = account.definition_of(after) else { return };
    let digests = revision.digests();
    let were = digests.len();
    let mut another = None;
    for container in news {
        let of = definition.containers().iter().find(|of| of.name == container.name);
        let Some(digest) = container.image_digest.clone().filter(|_| of.is_some_and(is_resolved)) else {
            continue;
        };
        match known(digests, &container.name) {
            None => {
                let (container_name, at) = (container.name.clone(), txn.now());
                digests.push(ImageDigest { container_name, digest, at });
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
    if digests.len() > were {
        revision.put(txn);
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
    let of_service = || {
        let (service, id) = task.service.as_ref()?;
        Some(&state.images(service, *id)?.digests)
    };
    let digests = match &task.daemon {
        Some(of) => state.daemon_revision(&of.name, &of.revision).map(|row| &row.digests),
        None => of_service(),
    };
    match digests.and_then(|digests| known(digests, &container.name)) {
        Some(of) => format!("{}@{}", container.image, of.digest),
        None => container.image.clone(),
    }
}

/// The digest of a container's image, where it is known or named by it.
fn digest(digests: &[ImageDigest], of: &ContainerImage) -> Option<String> {
    let known = known(digests, &of.container_name).map(|known| &*known.digest);
    known.or(named(&of.image)).map(str::to_owned)
}

/// The images of a daemon's revision as the API shows them.
pub fn shown_of_daemon(row: &DaemonRevisionRow) -> Vec<ecs::DaemonContainerImage> {
    let one = |of: &ContainerImage| ecs::DaemonContainerImage {
        container_name: Some(of.container_name.clone()),
        image_digest: digest(&row.digests, of),
        image: Some(of.image.clone()),
    };
    row.images.iter().map(one).collect()
}

/// The images of a service's revision as the API shows them.
pub fn shown(state: &Cluster, row: &ServiceRevisionRow) -> Vec<ecs::ContainerImage> {
    let digests = state.images(&row.service, row.id).map_or(&[][..], |images| &images.digests);
    let one = |of: &ContainerImage| ecs::ContainerImage {
        container_name: Some(of.container_name.clone()),
        image_digest: digest(digests, of),
        image: Some(of.image.clone()),
    };
    row.images.iter().map(one).collect()
}

#[cfg(test)]
mod tests;

//! What a reference to an image says of where it comes from.

/// Whether it is of a private repository of ECR: `<account>.dkr.ecr.<region>.amazonaws.com/…`.
pub(super) fn is_ecr(image: &str) -> bool {
    let host = image.split('/').next().unwrap_or_default();
    host.contains(".dkr.ecr.") && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"))
}

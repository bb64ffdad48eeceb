//! What the operations do, in the words of EC2 where they are known.

mod groups;
mod interfaces;
mod lists;
mod properties;
mod routes;
mod vpcs;

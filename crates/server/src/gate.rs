//! The gate: every call of every service goes through it, whoever makes it. The front door is one caller of it; the
//! control plane's own calls, on behalf of somebody, are others. It refuses what is not built, checks the input against
//! the model, and asks whether who calls may; it knows no HTTP and no operation, and has no say in who may what.

mod call;
mod members;
mod rights;
mod support;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::Value;
use state::{outbox, port};
use wire::{
    Error, Timestamp,
    protocol::{Denied, unknown_operation},
    schema::{self, Protocol},
    validate::validate,
};

use crate::{
    front_door::Origin,
    runtime::{self, By, Place, outbox::Calls},
    world,
};

pub use call::{Call, Caller, Role, Service};
use members::Takes;
pub use rights::{Asked, Nobody, Rights};
pub use state::api::{Absent, Built, Neutral};
pub use support::{Support, page};

/// Where this project says what is built.
pub(crate) const SUPPORT_PAGE: &str = members::SUPPORT_PAGE;

/// All services.
pub struct Gate {
    mounted: Vec<Mounted>,
}

/// A table that is wrong. Our own mistake, found at start.
#[derive(Debug, thiserror::Error)]
#[error("the support table of {service} is wrong: {what}")]
pub struct Wrong {
    service: &'static str,
    what: String,
}

impl Wrong {
    /// What is wrong with a service's table.
    pub(crate) fn new(service: &'static str, what: String) -> Wrong {
        Wrong { service, what }
    }
}

/// One service in its place.
pub(crate) struct Mounted {
    pub(crate) schema: &'static schema::Service,
    service: Arc<dyn Service>,
    rights: Arc<dyn Rights>,
    built: HashMap<&'static str, Known>,
}

/// An operation that is built.
pub(crate) struct Known {
    operation: &'static schema::Operation,
    built: &'static Built,
    /// What is taken out of its input, as it asks for nothing.
    absent: Takes,
}

/// What is known of a call besides its input.
#[derive(Debug, Clone)]
pub struct Around {
    /// The id that the client gets.
    pub request_id: String,
    /// The region that it is for.
    pub region: Arc<str>,
    /// When it came in.
    pub now: Timestamp,
    /// The URL by which the client reaches us.
    pub origin: Origin,
}

impl Gate {
    /// Puts the services behind a gate, with these to say what others than administrators may.
    ///
    /// # Errors
    /// A table of what is built that names something which the model does not have, or names it twice.
    pub fn new(services: Vec<Arc<dyn Service>>, rights: Arc<dyn Rights>) -> Result<Gate, Wrong> {
        let mounted = services.into_iter().map(|service| mount(service, rights.clone()));
        Ok(Gate { mounted: mounted.collect::<Result<_, _>>()? })
    }

    /// The service that `is` one.
    pub(crate) fn find(&self, is: impl Fn(&schema::Service) -> bool) -> Option<&Mounted> {
        self.mounted.iter().find(|mounted| is(mounted.schema))
    }

    /// An operation that is built, by the names of [`Others::operation`](state::port::Others::operation).
    pub(crate) fn offered(&self, service: &str, action: &str) -> Option<port::Known> {
        let plain = |id: &str| id.replace([' ', '-'], "").to_lowercase();
        let mounted = self.find(|schema| plain(schema.service_id) == service)?;
        let named = |name: &str| {
            let (mut model, mut given) = (name.chars(), action.chars());
            model.next().map(|first| first.to_ascii_lowercase()) == given.next() && model.eq(given)
        };
        let operation = mounted.schema.operations.iter().find(|operation| named(operation.name))?;
        let is_built = mounted.built.contains_key(operation.name);
        is_built.then_some(port::Known { service: mounted.schema.name, operation })
    }

    /// A call from inside, on behalf of somebody. Gives the output as JSON.
    ///
    /// # Errors
    /// The operation's own, and those by which calls from outside are refused.
    pub async fn call(
        &self,
        caller: &Caller,
        (service, operation): (&str, &str),
        input: Value,
        (region, now): (Arc<str>, Timestamp),
    ) -> Result<Value, Error> {
        // As those are told who speak JSON.
        let told = |refusal: Refusal| refusal.into_error(Protocol::Json11);
        let unknown = |text: String| told(Refusal::NotBuilt(text));
        let mounted = self.find(|schema| schema.name == service);
        let mounted = mounted.ok_or_else(|| unknown(format!("Roadstead has no service {service}")))?;
        let found = mounted.schema.operation(operation);
        let found = found.ok_or_else(|| unknown(format!("{service} has no operation {operation}")))?;
        let request_id = world::uuid().hyphenated().to_string();
        let around = Around { request_id, region, now, origin: Origin::default() };
        let known = mounted.admit(found).map_err(told)?;
        let output = mounted.carry_out(known, caller, input, around).await.map_err(told)?;
        serde_json::from_slice(&output).map_err(|error| Error::internal(error.to_string()))
    }
}

/// Calls from outboxes, as whom the row says: a service, or the role that it was given, which is one of the account
/// that the row is of.
#[async_trait]
impl Calls for Gate {
    async fn call(&self, (account, region): &Place, call: outbox::Call) -> Result<Value, Error> {
        let outbox::Call { principal, service, operation, input } = call;
        if principal.starts_with("arn:") && !is_role_of(account, &principal) {
            let text =
                format!("{principal} is no role of account {account}, which alone may be acted as here");
            return Err(Error::new("AccessDeniedException", 400, text));
        }
        let caller = Caller {
            account: account.clone(),
            arn: principal.as_str().into(),
            user_id: principal.as_str().into(),
            access_key: "".into(),
            role: Role::User,
        };
        let at = (region.clone(), runtime::now());
        Gate::call(self, &caller, (&service, &operation), input, at).await
    }
}

/// Whether an ARN is one of a role of this account.
pub(crate) fn is_role_of(account: &str, arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts[..], ["arn", _, "iam", "", of, role] if of == account && role.strip_prefix("role/").is_some_and(|name| !name.is_empty()))
}

/// Why a call has no output.
pub(crate) enum Refusal {
    /// The operation is not built.
    NotBuilt(String),
    /// The caller may not call it.
    Denied(Denied),
    /// What is wrong with the input, or the operation's own error.
    Failed(Error),
}

impl Refusal {
    /// The error. The first two have a form of their own in each protocol.
    pub(crate) fn into_error(self, protocol: Protocol) -> Error {
        match self {
            Refusal::NotBuilt(text) => unknown_operation(protocol, text),
            Refusal::Denied(denied) => denied.into_error(protocol),
            Refusal::Failed(error) => error,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Failed(error)
    }
}

impl Mounted {
    /// By [`Service::body_bytes`].
    pub(crate) fn body_bytes(&self) -> Option<usize> {
        self.service.body_bytes()
    }

    /// By [`Service::is_global`].
    pub(crate) fn is_global(&self) -> bool {
        self.service.is_global()
    }

    /// What is known of an operation, if it is built. Whether the caller may is asked once there is an input.
    pub(crate) fn admit(&self, operation: &schema::Operation) -> Result<&Known, Refusal> {
        self.built.get(operation.name).ok_or_else(|| {
            let text = format!("{} is not built in Roadstead yet: see {SUPPORT_PAGE}", operation.name);
            Refusal::NotBuilt(text)
        })
    }

    /// Checks the input and the caller's rights, and has the service carry the call out. What breaks an assertion is told
    /// as a failure of this call.
    ///
    /// # Errors
    /// What is wrong with the input, that the caller may not, and the operation's own.
    pub(crate) async fn carry_out(
        &self,
        known: &Known,
        caller: &Caller,
        mut input: Value,
        around: Around,
    ) -> Result<Bytes, Refusal> {
        let &Known { operation, built, ref absent } = known;
        absent.take_out(&mut input);
        validate(self.schema, operation, &mut input)?;
        members::refuse(self.schema, built, &input)?;
        let Around { request_id, region, now, origin } = around;
        self.authorise(built, caller, &input, (&region, now))?;
        let caller = caller.clone();
        let call = Call { operation, input, caller, request_id: request_id.clone(), region, now, origin };
        let output = AssertUnwindSafe(self.service.call(call)).catch_unwind().await;
        let output = output.unwrap_or_else(|_| {
            tracing::error!(operation = operation.name, request_id, "a call broke an assertion");
            Err(Error::internal("The call could not be carried out."))
        });
        Ok(output?)
    }

    /// Whether the caller may. An administrator may all, and costs nothing here.
    fn authorise(
        &self,
        built: &Built,
        caller: &Caller,
        input: &Value,
        (region, now): (&Arc<str>, Timestamp),
    ) -> Result<(), Refusal> {
        if caller.role == Role::User || built.for_all {
            return Ok(());
        }
        let ctx =
            runtime::context(&caller.partition().into(), (&caller.account, region), &By::from(caller), now);
        let asked = Asked { who: caller, ctx: &ctx, service: self.schema.signing_name, built, input };
        self.rights.allow(&asked).map_err(Refusal::Denied)
    }
}

fn mount(service: Arc<dyn Service>, rights: Arc<dyn Rights>) -> Result<Mounted, Wrong> {
    let (schema, support) = (service.schema(), service.support());
    support.check(schema).map_err(|what| Wrong::new(schema.name, what))?;
    let known = |built: &'static Built| {
        let operation = schema.operation(built.operation)?;
        Some((built.operation, Known { operation, built, absent: Takes::of(support, built) }))
    };
    let built = support.built.iter().filter_map(known).collect();
    Ok(Mounted { schema, service, rights, built })
}

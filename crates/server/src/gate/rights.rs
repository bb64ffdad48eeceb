//! What the gate asks before a service hears of a call: whether who asks may. Who answers is given to the gate.

use serde_json::Value;
use state::{
    Ctx,
    api::{Built, everything},
};
use wire::protocol::Denied;

use super::Caller;

/// Says what others than administrators may.
pub trait Rights: Send + Sync {
    /// Whether who asks may. It is asked of every call once its input meets the model, and answers from memory. What is
    /// not there is refused as what is another's, so that nobody learns by asking what there is.
    ///
    /// # Errors
    /// What is not allowed, and on what.
    fn allow(&self, asked: &Asked) -> Result<(), Denied>;
}

/// What is asked. What a policy can name of it is made when it is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who asks.
    pub who: &'a Caller,
    /// Where and when.
    pub ctx: &'a Ctx,
    /// What stands before the colon of the action.
    pub service: &'static str,
    /// The operation, by its entry in the table.
    pub built: &'a Built,
    /// Its input, which meets the model.
    pub input: &'a Value,
}

impl Asked<'_> {
    /// `<service>:<operation>`.
    pub fn action(&self) -> String {
        format!("{}:{}", self.service, self.built.operation)
    }

    /// The ARNs of what has to be allowed, each of them; never none.
    pub fn resources(&self) -> Vec<String> {
        match (self.built.on)(self.ctx, self.input) {
            none if none.is_empty() => everything(self.ctx, self.input),
            some => some,
        }
    }

    /// The values of the condition keys that the operation has, each key once.
    pub fn conditions(&self) -> Vec<(String, Vec<String>)> {
        self.built.condition_values(self.ctx, self.input)
    }

    /// It is not allowed on this resource.
    pub fn denied(&self, resource: String) -> Denied {
        Denied { who: self.who.arn.to_string(), action: self.action(), resource }
    }
}

/// Administrators may all, and nobody else anything.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Rights for Nobody {
    fn allow(&self, asked: &Asked) -> Result<(), Denied> {
        Err(asked.denied(asked.resources().swap_remove(0)))
    }
}

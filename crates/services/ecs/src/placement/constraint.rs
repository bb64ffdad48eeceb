//! Placement constraints, parsed and checked.

use ecs_model::errors;
use wire::Error;

use super::query::{self, Query};
use crate::{
    cluster::tally::Zone,
    rows::{PlacementConstraint, PlacementConstraintType, TaskDefinitionPlacementConstraint},
};

/// The most constraints of one task, those of its task definition included.
pub const MAX_CONSTRAINTS: usize = 10;

/// What must hold of a task's container instance.
#[derive(Debug, Clone, Default)]
pub struct Constraints {
    /// No other task of the group may be there.
    pub distinct_instance: bool,
    /// The instance must be a member of each.
    pub member_of: Vec<Query>,
    /// The instance must be in it.
    pub zone: Option<Zone>,
}

impl Constraints {
    /// Takes the constraints of a task definition and those of a request or service together.
    pub fn compile(
        definition: &[TaskDefinitionPlacementConstraint],
        request: &[PlacementConstraint],
    ) -> Result<Constraints, Error> {
        if definition.len() + request.len() > MAX_CONSTRAINTS {
            return Err(errors::invalid_parameter(
                "Too many placement constraints specified. The maximum is 10.",
            ));
        }
        let mut constraints = Constraints::default();
        for constraint in definition {
            constraints.member_of.push(member_of(constraint.expression.as_deref())?);
        }
        for constraint in request {
            match constraint.r#type {
                Some(PlacementConstraintType::DistinctInstance) => {
                    if constraint.expression.is_some() {
                        let text = "distinctInstance expression should not be specified.";
                        return Err(errors::invalid_parameter(text));
                    }
                    constraints.distinct_instance = true;
                }
                Some(PlacementConstraintType::MemberOf) => {
                    constraints.member_of.push(member_of(constraint.expression.as_deref())?);
                }
                None => {
                    return Err(errors::invalid_parameter("Placement constraint type must be specified."));
                }
            }
        }
        Ok(constraints)
    }
}

fn member_of(expression: Option<&str>) -> Result<Query, Error> {
    match expression.map(str::trim).filter(|expression| !expression.is_empty()) {
        Some(expression) => Ok(query::parse(expression)?),
        None => Err(errors::invalid_parameter("memberOf expression must be specified.")),
    }
}

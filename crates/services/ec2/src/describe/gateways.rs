//! DescribeInternetGateways.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInternetGateways.html>

use std::sync::Arc;

use ec2_model::{DescribeInternetGatewaysRequest, InternetGateway, Tag};
use imbl::OrdMap;
use serde::Serialize;
use wire::Error;

use super::list::{Asked, Listed, list};
use crate::{
    Ctx, Ec2,
    rows::{GatewayId, GatewayRow, VpcId},
};

impl Listed for GatewayRow {
    type Id = GatewayId;
    const ID: &'static str = "internet-gateway-id";
    const VPC: Option<&'static str> = Some("attachment.vpc-id");
    const FILTERS: &'static [&'static str] =
        &["attachment.state", "attachment.vpc-id", "internet-gateway-id", "owner-id", "tag-key"];

    fn all(state: &Ec2) -> &OrdMap<GatewayId, Arc<GatewayRow>> {
        state.gateways()
    }

    fn id(&self) -> GatewayId {
        self.id
    }

    fn values(&self, _state: &Ec2, _ctx: &Ctx, filter: &str) -> Vec<String> {
        let of_vpc = |vpc: VpcId| match filter {
            "attachment.state" => Some("available".to_owned()),
            "attachment.vpc-id" => Some(vpc.to_string()),
            _ => None,
        };
        self.vpc.and_then(of_vpc).into_iter().collect()
    }
}

/// `DescribeInternetGatewaysResult` of the model, but for one word: EC2 says `available` of a gateway that is attached, which
/// is none of the values that the model has for it; clients wait for that word.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Described {
    internet_gateways: Vec<Gateway>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Gateway {
    attachments: Vec<Attachment>,
    internet_gateway_id: Option<String>,
    owner_id: Option<String>,
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attachment {
    state: &'static str,
    vpc_id: String,
}

/// DescribeInternetGateways.
pub fn describe_internet_gateways(
    state: &Ec2,
    ctx: &Ctx,
    request: &DescribeInternetGatewaysRequest,
) -> Result<Described, Error> {
    let (rows, next_token) = list::<GatewayRow>(
        state,
        ctx,
        &Asked {
            ids: request.internet_gateway_ids.as_ref(),
            filters: request.filters.as_ref(),
            size: request.max_results,
            token: request.next_token.as_deref(),
        },
    )?;
    let gateway = |row: &Arc<GatewayRow>| {
        let InternetGateway { internet_gateway_id, owner_id, tags, .. } = shown(state, ctx, row);
        let attachment = |vpc: VpcId| Attachment { state: "available", vpc_id: vpc.to_string() };
        let attachments = row.vpc.map(attachment).into_iter().collect();
        Gateway { attachments, internet_gateway_id, owner_id, tags }
    };
    Ok(Described { internet_gateways: rows.iter().map(gateway).collect(), next_token })
}

/// An internet gateway that is attached to nothing, as it is shown.
pub fn shown(state: &Ec2, ctx: &Ctx, row: &GatewayRow) -> InternetGateway {
    InternetGateway {
        attachments: Some(Vec::new()),
        internet_gateway_id: Some(row.id.to_string()),
        owner_id: super::owner(ctx),
        tags: super::tags(state, row.id),
    }
}

//! `roadstead service`: what takes several calls of ECS to change of a service. It calls as any client does.

mod image;

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use self::image::Change;
use super::client::{Client, Target};
use crate::{
    advice::{Advise, fail},
    output::say,
};

/// Between two looks at a deployment that is waited for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `roadstead service`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Run another image: a new revision of the task definition in which nothing else differs, and its deployment
    SetImage(SetImage),
}

#[derive(clap::Args)]
struct SetImage {
    /// Name or ARN of the service
    service: String,
    /// A container of its task definition, and the image that it is to run
    #[arg(required = true, value_name = "CONTAINER=IMAGE")]
    images: Vec<Change>,
    /// Name or ARN of its cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Wait until the deployment has ended, and fail unless it was SUCCESSFUL
    #[arg(long)]
    wait: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// What was done, and how it ended where that was waited for.
#[derive(Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    task_definition: String,
    /// None where each container had its image already.
    #[serde(skip_serializing_if = "Option::is_none")]
    service_deployment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
}

/// Runs one command on a service.
pub fn run(args: Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match args.command {
        Command::SetImage(args) => runtime.block_on(set_image(args)),
    }
}

async fn set_image(args: SetImage) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.target).await?;
    let mut done = deploy(&mut client, &args).await?;
    if !args.json {
        say!("task definition {}", done.task_definition);
        match &done.service_deployment {
            Some(deployment) => say!("deployment {deployment}"),
            None => say!("nothing to deploy: the service has these images"),
        }
    }
    let mut ended = None;
    if let Some(deployment) = done.service_deployment.as_ref().filter(|_| args.wait) {
        let (status, reason) = end(&mut client, deployment).await?;
        done.status = Some(status.clone());
        ended = Some((status, reason));
    }
    if args.json {
        say!("{}", serde_json::to_string(&done)?);
    }
    let Some((status, reason)) = ended else { return Ok(()) };
    if status != "SUCCESSFUL" {
        let explain =
            format!("`roadstead explain deployment {}`", done.service_deployment.unwrap_or_default());
        fail!(explain, "the deployment is {status}: {reason}");
    }
    if !args.json {
        say!("{status}");
    }
    Ok(())
}

/// Registers the revision, and has the service run it.
async fn deploy(client: &mut Client, args: &SetImage) -> anyhow::Result<Done> {
    let (cluster, service) = (&args.cluster, &args.service);
    let known = client.json("DescribeServices", &json!({"cluster": cluster, "services": [service]})).await?;
    let known = &known["services"][0];
    if known["status"] != "ACTIVE" {
        fail!(
            "`aws ecs list-services`, and `--cluster` where it is not in `default`",
            "no service {service} is ACTIVE"
        );
    }
    let Some(current) = known["taskDefinition"].as_str() else {
        fail!("CreateTaskSet", "service {service} has no task definition of its own: its task sets have");
    };
    let described = json!({"taskDefinition": current, "include": ["TAGS"]});
    let described = client.json("DescribeTaskDefinition", &described).await?;
    let revision = image::revised(&described, &args.images).advise(format!(
        "`aws ecs describe-task-definition --task-definition {current}`, which shows its containers"
    ))?;
    let Some(revision) = revision else {
        return Ok(Done { task_definition: current.to_owned(), ..Done::default() });
    };
    let registered = client.json("RegisterTaskDefinition", &revision).await?;
    let task_definition = text(&registered["taskDefinition"]["taskDefinitionArn"])?;
    let update = json!({"cluster": cluster, "service": service, "taskDefinition": task_definition});
    let updated = client.json("UpdateService", &update).await?;
    let primary = text(&updated["service"]["deployments"][0]["id"])?;
    let listed =
        client.json("ListServiceDeployments", &json!({"cluster": cluster, "service": service})).await?;
    let service_deployment = Some(deployment_of(&listed, &primary)?);
    Ok(Done { task_definition, service_deployment, status: None })
}

/// The newest deployment of a revision, which has the digits of `ecs-svc/…`.
fn deployment_of(listed: &Value, primary: &str) -> anyhow::Result<String> {
    let revision = primary.rsplit('/').next();
    let is_of = |one: &&Value| {
        let target = one["targetServiceRevisionArn"].as_str();
        target.is_some_and(|arn| arn.rsplit('/').next() == revision)
    };
    let found = listed["serviceDeployments"].as_array().into_iter().flatten().find(is_of);
    text(&found.context("the deployment has been replaced already")?["serviceDeploymentArn"])
}

/// How a deployment has ended, and why.
async fn end(client: &mut Client, deployment: &str) -> anyhow::Result<(String, String)> {
    loop {
        let described = json!({"serviceDeploymentArns": [deployment]});
        let described = client.json("DescribeServiceDeployments", &described).await?;
        let seen = &described["serviceDeployments"][0];
        let status = text(&seen["status"])?;
        if matches!(&*status, "SUCCESSFUL" | "STOPPED" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED") {
            return Ok((status, seen["statusReason"].as_str().unwrap_or_default().to_owned()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn text(value: &Value) -> anyhow::Result<String> {
    value.as_str().map(str::to_owned).context("the answer is none of a control plane's")
}

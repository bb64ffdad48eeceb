//! ECS: every built operation, from request to answer. Commands go to the writer of their cluster (or of
//! the account), reads to its newest snapshot. Nothing is decided here.

mod absent;
mod agents;
mod clusters;
mod link;
mod room;
pub(crate) mod support;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ::ecs::{
    Cluster, Ctx, Txn,
    account::{self, Account, settings},
    instance::{attributes, describe as instances, state},
    service, tags,
    task::{describe, list, report, run, stop},
};
use async_trait::async_trait;
use bytes::Bytes;
use ecs_model::{self as ecs, errors};
use serde::Serialize;
use wire::{Error, Request};

use crate::{
    gate::{Call, Service, Support},
    runtime::{Home, Runtime},
};

/// The ECS API of all accounts and regions.
pub struct Ecs {
    runtime: Arc<Runtime>,
}

#[async_trait]
impl Service for Ecs {
    fn schema(&self) -> &'static wire::schema::Service {
        &ecs::SERVICE
    }

    fn support(&self) -> &'static Support {
        &support::SUPPORT
    }

    async fn call(&self, call: Call) -> Result<Bytes, Error> {
        agents::check(&*self.home(&call)?, &call)?;
        room::check(&self.runtime, &call)?;
        match call.operation.name {
            "RunTask" => self.write(call, |r| &r.cluster, run::run_task).await,
            "StartTask" => self.write(call, |r| &r.cluster, run::start_task).await,
            "StopTask" => self.stop_task(call).await,
            "DescribeTasks" => self.read(call, |r| &r.cluster, describe::describe_tasks),
            "ListTasks" => self.read(call, |r| &r.cluster, list::list_tasks),
            "CreateService" => self.write(call, |r| &r.cluster, service::create::create_service).await,
            "UpdateService" => self.write(call, |r| &r.cluster, service::update::update_service).await,
            "DeleteService" => self.write(call, |r| &r.cluster, service::delete::delete_service).await,
            "DescribeServices" => self.read(call, |r| &r.cluster, service::describe::describe_services),
            "ListServices" => self.read(call, |r| &r.cluster, service::list::list_services),
            _ => self.call_instances(call).await,
        }
    }
}

impl Ecs {
    /// The ECS API of this runtime.
    pub fn new(runtime: Arc<Runtime>) -> Ecs {
        Ecs { runtime }
    }

    /// What there is of the caller's account in the region that the call is for.
    fn home(&self, call: &Call) -> Result<Arc<Home>, Error> {
        self.runtime.home(&call.caller.account, &call.region)
    }

    /// StopTask, of a task whose row was set aside too.
    async fn stop_task(&self, mut call: Call) -> Result<Bytes, Error> {
        let request: ecs::StopTaskRequest = call.typed()?;
        let home = self.home(&call)?;
        let ctx = home.ctx(&call.caller, call.now);
        let cluster = home.cluster(&ctx, request.cluster.as_deref())?;
        let id = request.task.rsplit('/').next().unwrap_or_default().to_owned();
        if home.give_up(&cluster, &id).await? {
            let shown = stop::unreadable(&ctx, &cluster.read().state.row.name, &id);
            return json(&ecs::StopTaskResponse { task: Some(shown) });
        }
        json(&cluster.execute(&call.caller, move |txn| stop::stop_task(txn, request)).await?)
    }

    async fn call_instances(&self, call: Call) -> Result<Bytes, Error> {
        match call.operation.name {
            "DescribeContainerInstances" => {
                self.read(call, |r| &r.cluster, instances::describe_container_instances)
            }
            "ListContainerInstances" => self.read(call, |r| &r.cluster, instances::list_container_instances),
            "UpdateContainerInstancesState" => {
                self.write(call, |r| &r.cluster, state::update_container_instances_state).await
            }
            "DeregisterContainerInstance" => {
                self.write(call, |r| &r.cluster, state::deregister_container_instance).await
            }
            "PutAttributes" => self.write(call, |r| &r.cluster, attributes::put_attributes).await,
            "DeleteAttributes" => self.write(call, |r| &r.cluster, attributes::delete_attributes).await,
            "ListAttributes" => self.read(call, |r| &r.cluster, attributes::list_attributes),
            "RegisterContainerInstance" => agents::register(&self.runtime, &*self.home(&call)?, call).await,
            "SubmitTaskStateChange" => {
                self.write(call, |r| &r.cluster, report::submit_task_state_change).await
            }
            "SubmitContainerStateChange" => {
                self.write(call, |r| &r.cluster, report::submit_container_state_change).await
            }
            "DiscoverPollEndpoint" => link::discover_poll_endpoint(&*self.home(&call)?, call),
            _ => self.call_account(call).await,
        }
    }

    async fn call_account(&self, call: Call) -> Result<Bytes, Error> {
        match call.operation.name {
            "RegisterTaskDefinition" => self.change(call, account::register_task_definition).await,
            "DeregisterTaskDefinition" => self.change(call, account::deregister_task_definition).await,
            "DeleteTaskDefinitions" => self.change(call, account::delete_task_definitions).await,
            "DescribeTaskDefinition" => self.look(call, account::describe_task_definition),
            "ListTaskDefinitions" => self.look(call, account::list_task_definitions),
            "ListTaskDefinitionFamilies" => self.look(call, account::list_task_definition_families),
            "ListAccountSettings" => self.look(call, settings::list_account_settings),
            "PutAccountSetting" => self.change(call, settings::put_account_setting).await,
            "PutAccountSettingDefault" => self.change(call, settings::put_account_setting_default).await,
            "DeleteAccountSetting" => self.change(call, settings::delete_account_setting).await,
            "TagResource" => self.tag(call, account::tags::tag_resource, tags::tag_resource).await,
            "UntagResource" => self.tag(call, account::tags::untag_resource, tags::untag_resource).await,
            "ListTagsForResource" => self.list_tags(call),
            _ => clusters::call(&*self.home(&call)?, call).await,
        }
    }

    /// A command on the cluster that the request names.
    async fn write<R, T>(
        &self,
        mut call: Call,
        cluster: fn(&R) -> &Option<String>,
        command: fn(&mut Txn, R) -> Result<T, Error>,
    ) -> Result<Bytes, Error>
    where
        R: Request<Response = T> + Send + 'static,
        T: Serialize + Send + 'static,
    {
        let request: R = call.typed()?;
        let home = self.home(&call)?;
        let ctx = home.ctx(&call.caller, call.now);
        let cluster = home.cluster(&ctx, cluster(&request).as_deref())?;
        let reply = cluster.command(&call.caller, move |txn| command(txn, request)).await?;
        json(&reply)
    }

    /// A read of the cluster that the request names.
    fn read<R, T>(
        &self,
        mut call: Call,
        cluster: fn(&R) -> &Option<String>,
        read: fn(&Cluster, &Ctx, &R) -> Result<T, Error>,
    ) -> Result<Bytes, Error>
    where
        R: Request<Response = T>,
        T: Serialize,
    {
        let request: R = call.typed()?;
        let home = self.home(&call)?;
        let ctx = home.ctx(&call.caller, call.now);
        let cluster = home.cluster(&ctx, cluster(&request).as_deref())?;
        json(&read(&cluster.read().state, &ctx, &request)?)
    }

    /// A command on the account.
    async fn change<R, T>(
        &self,
        mut call: Call,
        command: fn(&mut account::Txn, R) -> Result<T, Error>,
    ) -> Result<Bytes, Error>
    where
        R: Request<Response = T> + Send + 'static,
        T: Serialize + Send + 'static,
    {
        let request: R = call.typed()?;
        let run = move |txn: &mut account::Txn| command(txn, request);
        json(&self.home(&call)?.account_shard().execute(&call.caller, run).await?)
    }

    /// A read of the account.
    fn look<R, T>(
        &self,
        mut call: Call,
        read: fn(&Account, &Ctx, &R) -> Result<T, Error>,
    ) -> Result<Bytes, Error>
    where
        R: Request<Response = T>,
        T: Serialize,
    {
        let request: R = call.typed()?;
        let home = self.home(&call)?;
        let ctx = home.ctx(&call.caller, call.now);
        json(&read(&home.account().state, &ctx, &request)?)
    }

    /// A change of tags, on the account or on the cluster that holds the resource.
    async fn tag<R, T>(
        &self,
        mut call: Call,
        on_account: fn(&mut account::Txn, R) -> Result<T, Error>,
        on_cluster: fn(&mut Txn, R) -> Result<T, Error>,
    ) -> Result<Bytes, Error>
    where
        R: Request<Response = T> + Send + 'static,
        T: Serialize + Send + 'static,
    {
        let arn = resource_arn(&call)?;
        if account::tags::is_ours(&arn) {
            return self.change(call, on_account).await;
        }
        let request: R = call.typed()?;
        let cluster = clusters::of_resource(&*self.home(&call)?, &call, &arn)?;
        json(&cluster.command(&call.caller, move |txn| on_cluster(txn, request)).await?)
    }

    fn list_tags(&self, call: Call) -> Result<Bytes, Error> {
        let arn = resource_arn(&call)?;
        if account::tags::is_ours(&arn) {
            return self.look(call, account::tags::list_tags_for_resource);
        }
        let cluster = clusters::of_resource(&*self.home(&call)?, &call, &arn)?;
        let tags = tags::of(&cluster.read().state, &arn)?;
        json(&ecs::ListTagsForResourceResponse { tags: Some(tags) })
    }
}

fn resource_arn(call: &Call) -> Result<String, Error> {
    let arn = call.input.get("resourceArn").and_then(|arn| arn.as_str());
    arn.map(str::to_owned).ok_or_else(|| errors::invalid_parameter("resourceArn cannot be empty."))
}

fn json(reply: &impl Serialize) -> Result<Bytes, Error> {
    let bytes = serde_json::to_vec(reply).map_err(|error| errors::server(error.to_string()))?;
    Ok(bytes.into())
}

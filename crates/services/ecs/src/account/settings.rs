//! Account settings: ListAccountSettings, PutAccountSetting, PutAccountSettingDefault, DeleteAccountSetting.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-account-settings.html>

use ecs_model::{self as ecs, SettingType, errors};
use wire::{Error, StringEnum};

use super::{Account, Key, SettingId, SettingRow, Txn};
use crate::{
    Ctx,
    convert::{Shown, Stored},
    paging,
    rows::SettingName,
};

/// The longest ARN of a user or role: 512 characters of path, 64 of name.
const MAX_PRINCIPAL: usize = 700;

/// What is known of a setting: its values, of which the first is in force until one is put, and what it does here.
pub struct Known {
    pub values: &'static [&'static str],
    pub effect: &'static str,
}

/// What is known of a setting.
pub fn known(name: SettingName) -> Known {
    const NO_FARGATE: &str = "none: hosts given to Fargate are patched and retired by who runs them";
    let (values, effect): (&[_], _) = match name {
        SettingName::ServiceLongArnFormat
        | SettingName::TaskLongArnFormat
        | SettingName::ContainerInstanceLongArnFormat => {
            (&["enabled"], "none: the long format is the only one, and `disabled` is answered as ECS does")
        }
        SettingName::AwsvpcTrunking => {
            (&["disabled", "enabled"], "none: a host has as many network interfaces as its tasks need")
        }
        SettingName::FargateFIPSMode | SettingName::FargateEventWindows => {
            (&["disabled", "enabled"], NO_FARGATE)
        }
        SettingName::FargateTaskRetirementWaitPeriod => (&["7", "0", "14"], NO_FARGATE),
        SettingName::ContainerInsights => {
            (&["disabled", "enabled", "enhanced"], "the setting of a cluster that is made without one")
        }
        SettingName::TagResourceAuthorization => {
            (&["on", "off"], "none until there are policies: whoever may make a resource may tag it")
        }
        SettingName::DefaultLogDriverMode => (
            &["non-blocking", "blocking"],
            "the `mode` of `awslogs` drivers that name none, of task definitions that are registered from then on",
        ),
        SettingName::GuardDutyActivate => (&["off", "on"], "none, and it cannot be put, as in ECS"),
    };
    Known { values, effect }
}

/// Lists what was put, or what is in force for a principal.
pub fn list_account_settings(
    state: &Account,
    ctx: &Ctx,
    request: &ecs::ListAccountSettingsRequest,
) -> Result<ecs::ListAccountSettingsResponse, Error> {
    let size = request.max_results.filter(|size| *size != 0);
    let page = paging::read_up_to(10, 100, size, request.next_token.as_deref())?;
    let principal = principal(ctx, request.principal_arn.as_deref())?;
    if request.value.is_some() && request.name.is_none() {
        return Err(errors::invalid_parameter("A value can only be specified together with a name."));
    }
    let effective = request.effective_settings.unwrap_or(false);
    let wanted = request.name.stored();
    let names = SettingName::ALL.iter().copied().filter(|name| wanted.is_none_or(|wanted| wanted == *name));
    let settings = names.filter_map(|name| {
        let put = state.settings.get(&SettingId { principal: principal.clone(), name });
        let (value, owner) = match put {
            Some(row) => (row.value.as_str(), principal.as_str()),
            None if effective => in_force(state, ctx, &principal, name),
            None => return None,
        };
        Some(setting(ctx, name, value, owner))
    });
    let wanted = |setting: &ecs::Setting| {
        request.value.as_ref().is_none_or(|value| setting.value.as_ref() == Some(value))
    };
    let key = |setting: &ecs::Setting| setting.name.map(|name| format!("{name}")).unwrap_or_default();
    let mut settings: Vec<ecs::Setting> = settings.filter(wanted).collect();
    settings.sort_by_key(key);
    let behind =
        settings.into_iter().filter(|setting| page.after().is_none_or(|after| key(setting).as_str() > after));
    let (settings, next_token) = page.cut(behind, key);
    Ok(ecs::ListAccountSettingsResponse { settings: Some(settings), next_token })
}

/// Puts a setting for one principal (the caller unless another is named).
pub fn put_account_setting(
    txn: &mut Txn,
    request: ecs::PutAccountSettingRequest,
) -> Result<ecs::PutAccountSettingResponse, Error> {
    let principal = principal(txn.ctx, request.principal_arn.as_deref())?;
    let setting = put(txn, principal, request.name.stored(), request.value)?;
    Ok(ecs::PutAccountSettingResponse { setting: Some(setting) })
}

/// Puts a setting for every principal that has none of its own.
pub fn put_account_setting_default(
    txn: &mut Txn,
    request: ecs::PutAccountSettingDefaultRequest,
) -> Result<ecs::PutAccountSettingDefaultResponse, Error> {
    let setting = put(txn, String::new(), request.name.stored(), request.value)?;
    Ok(ecs::PutAccountSettingDefaultResponse { setting: Some(setting) })
}

/// Takes away what was put for a principal.
pub fn delete_account_setting(
    txn: &mut Txn,
    request: ecs::DeleteAccountSettingRequest,
) -> Result<ecs::DeleteAccountSettingResponse, Error> {
    let principal = principal(txn.ctx, request.principal_arn.as_deref())?;
    let name = request.name.stored();
    let (value, _) = in_force(txn.state, txn.ctx, "", name);
    let setting = setting(txn.ctx, name, value, &principal);
    let id = SettingId { principal, name };
    if txn.state.settings.contains_key(&id) {
        txn.delete(Key::Setting(id));
    }
    Ok(ecs::DeleteAccountSettingResponse { setting: Some(setting) })
}

/// The value of a setting that is in force for a principal, and who put it (empty: the account).
fn in_force<'a>(state: &'a Account, ctx: &Ctx, principal: &'a str, name: SettingName) -> (&'a str, &'a str) {
    let find = |principal: &str| {
        state.settings.get(&SettingId { principal: principal.to_owned(), name }).map(|row| row.value.as_str())
    };
    let own = if principal == root(ctx) { None } else { find(principal) };
    match own {
        Some(value) => (value, principal),
        None => (find("").unwrap_or(known(name).values[0]), ""),
    }
}

impl Account {
    /// The value of a setting that is in force for a principal (empty: the account's default).
    pub fn setting<'a>(&'a self, ctx: &Ctx, principal: &'a str, name: SettingName) -> &'a str {
        in_force(self, ctx, principal, name).0
    }
}

/// Puts a value; its case counts.
///
/// # Errors
/// `InvalidParameterException` for what is no value of the setting, or none that can be put.
fn put(txn: &mut Txn, principal: String, name: SettingName, value: String) -> Result<ecs::Setting, Error> {
    let values = known(name).values;
    if name == SettingName::GuardDutyActivate {
        return Err(errors::invalid_parameter(
            "guardDutyActivate is managed by Amazon GuardDuty and cannot be modified.",
        ));
    }
    if values == ["enabled"] && value == "disabled" {
        return Err(errors::invalid_parameter("You can no longer disable Long Arn settings."));
    }
    if !values.contains(&value.as_str()) {
        return Err(errors::invalid_parameter("Invalid setting 'value'"));
    }
    let setting = setting(txn.ctx, name, &value, &principal);
    txn.put(SettingRow { principal, name, value });
    Ok(setting)
}

fn setting(ctx: &Ctx, name: SettingName, value: &str, principal: &str) -> ecs::Setting {
    let managed = name == SettingName::GuardDutyActivate;
    ecs::Setting {
        name: Some(name.shown()),
        value: Some(value.to_owned()),
        principal_arn: Some(if principal.is_empty() { root(ctx) } else { principal.to_owned() }),
        r#type: Some(if managed { SettingType::AwsManaged } else { SettingType::User }),
    }
}

fn root(ctx: &Ctx) -> String {
    format!("arn:{}:iam::{}:root", ctx.partition, ctx.account)
}

/// Whose settings are meant. What is put for root is the account's default.
fn principal(ctx: &Ctx, given: Option<&str>) -> Result<String, Error> {
    let given = given.filter(|arn| !arn.is_empty()).unwrap_or(&ctx.caller_arn);
    let start = format!("arn:{}:", ctx.partition);
    let account = given.split(':').nth(4).unwrap_or_default();
    // No ARN of IAM is longer, and it is part of a row's key.
    let plain = given.len() <= MAX_PRINCIPAL && given.bytes().all(|b| b.is_ascii_graphic());
    if !given.starts_with(&start) || account != &*ctx.account || !plain {
        return Err(errors::invalid_parameter("Invalid principalArn."));
    }
    Ok(if given == root(ctx) { String::new() } else { given.to_owned() })
}

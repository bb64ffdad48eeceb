//! The rest of docs/support.md: what of the members inside of task definitions, and overrides is
//! built, and what account settings do.

use wire::StringEnum;

use crate::{
    account::{members, settings},
    rows::SettingName,
};

/// The members inside of task definitions and overrides that are not built, as `account::members` decides them.
pub fn nested() -> String {
    let mut out = String::from(
        "\n## Inside of task definitions and overrides\n\nMembers that are not listed, and not below one that \
         is refused, are built. The task definitions of daemons are task definitions in this.\n\n\
         | member | |\n|---|---|\n",
    );
    let daemons = ("RegisterDaemonTaskDefinition: ", members::DAEMON_MEMBERS);
    for (place, table) in [("", members::MEMBERS), ("overrides.", members::OVERRIDES), daemons] {
        let mut refused = None;
        for (path, support) in table {
            let below = |parent: &str| path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'));
            if refused.is_some_and(below) {
                continue;
            }
            let what = match support {
                members::Support::Built => continue,
                members::Support::Values(values, why) => format!("only {}: {why}", values.join(", ")),
                members::Support::NoEffect(why) => format!("without effect: {why}"),
                members::Support::Refused(why) => {
                    refused = Some(path);
                    format!("refused: {why}")
                }
            };
            out.push_str(&format!("| `{place}{path}` | {what} |\n"));
        }
    }
    out.push_str("\nThe options of `logConfiguration` that are built; any other is refused.\n\n| driver | options |\n|---|---|\n");
    for (driver, options) in members::LOG_OPTIONS {
        out.push_str(&format!("| `{driver}` | `{}` |\n", options.join("`, `")));
    }
    out.push_str("\n## Account settings\n\nThe first value holds until another is put.\n\n| setting | values | effect |\n|---|---|---|\n");
    for name in SettingName::ALL {
        let settings::Known { values, effect } = settings::known(*name);
        out.push_str(&format!("| `{name}` | `{}` | {effect} |\n", values.join("`, `")));
    }
    out
}

//! Users and groups by name, as a container's own /etc/passwd and /etc/group have them.

use std::io;
use std::path::Path;

use libcontainer::oci_spec::runtime;

use super::Root;

/// Whom a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Further groups, sorted.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

impl User {
    /// As libcontainer wants it.
    pub(crate) fn oci(&self) -> runtime::User {
        let mut user = runtime::User::default();
        user.set_uid(self.uid).set_gid(self.gid);
        if !self.groups.is_empty() {
            user.set_additional_gids(Some(self.groups.clone()));
        }
        user
    }
}

/// Finds `name|uid[:group|gid]`; empty is root.
pub(crate) fn resolve(root: &Root, user: &str) -> io::Result<User> {
    let passwd = root.read_text(Path::new("/etc/passwd"))?.unwrap_or_default();
    let group = root.read_text(Path::new("/etc/group"))?.unwrap_or_default();
    find(user, &passwd, &group).map_err(io::Error::other)
}

/// A line of /etc/passwd.
struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1).unwrap_or("");
        Some(Account { name, uid, gid, home })
    })
}

/// Lines of /etc/group: name, id, members.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or("")))
    })
}

/// The largest id that Docker takes.
const ID_MAX: u32 = i32::MAX.cast_unsigned();

fn find(user: &str, passwd: &str, group: &str) -> Result<User, String> {
    let (user, wanted_group) = user.split_once(':').map_or((user, ""), |(u, g)| (u, g));
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    let account = accounts(passwd)
        .find(|a| a.name == user)
        .or_else(|| accounts(passwd).find(|a| Some(a.uid) == number));
    let uid = match (&account, number) {
        (Some(account), _) => account.uid,
        (None, Some(uid)) if uid <= ID_MAX => uid,
        (None, Some(_)) => return Err("uids and gids must be in range 0-2147483647".to_owned()),
        (None, None) => {
            return Err(format!("unable to find user {user}: no matching entries in passwd file"));
        }
    };
    let gid = match (wanted_group, &account) {
        ("", account) => account.as_ref().map_or(0, |a| a.gid),
        (name, _) => find_group(name, group)?,
    };
    // Docker adds the groups that list the user only where no group is asked for.
    let mut further: Vec<u32> = match &account {
        Some(account) if wanted_group.is_empty() => groups(group)
            .filter(|(_, _, members)| members.split(',').any(|m| m == account.name))
            .map(|(_, gid, _)| gid)
            .collect(),
        _ => Vec::new(),
    };
    further.sort_unstable();
    further.dedup();
    let home = account.map(|a| a.home).filter(|h| !h.is_empty()).unwrap_or("/");
    Ok(User { uid, gid, groups: further, home: home.to_owned() })
}

fn find_group(name: &str, group: &str) -> Result<u32, String> {
    if let Some((_, gid, _)) = groups(group).find(|(n, _, _)| *n == name) {
        return Ok(gid);
    }
    match name.parse::<u32>() {
        Ok(gid) if gid <= ID_MAX => Ok(gid),
        Ok(_) => Err("uids and gids must be in range 0-2147483647".to_owned()),
        Err(_) => Err(format!("unable to find group {name}: no matching entries in group file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:www:/var/www:/bin/sh\n7:x:70:71::/seven:\n# x\nbad\n";
    const GROUP: &str = "root:x:0:\nlogs:x:4:web,other\nextra:x:5:web\nstaff:x:50:nobody\n";

    fn found(user: &str) -> (u32, u32, Vec<u32>, String) {
        let user = find(user, PASSWD, GROUP).unwrap();
        (user.uid, user.gid, user.groups, user.home)
    }

    #[test]
    fn names_and_numbers() {
        for (user, want) in [
            ("", (0, 0, vec![], "/root")),
            ("web", (33, 34, vec![4, 5], "/var/www")),
            ("33", (33, 34, vec![4, 5], "/var/www")),
            ("web:staff", (33, 50, vec![], "/var/www")),
            ("web:99", (33, 99, vec![], "/var/www")),
            ("1000", (1000, 0, vec![], "/")),
            ("1000:staff", (1000, 50, vec![], "/")),
            (":staff", (0, 50, vec![], "/root")),
            // A name that is a number goes before the number.
            ("7", (70, 71, vec![], "/seven")),
        ] {
            assert_eq!(found(user), (want.0, want.1, want.2, want.3.to_owned()), "{user}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        for (user, want) in [
            ("ghost", "unable to find user ghost"),
            ("web:ghosts", "unable to find group ghosts"),
            ("4294967295", "must be in range"),
            ("0:4294967295", "must be in range"),
            ("-1", "unable to find user -1"),
        ] {
            let error = find(user, PASSWD, GROUP).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }
}

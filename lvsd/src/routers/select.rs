//! Which virtual routers are shown.

use crate::vrrp::status::Status;

/// Leaves out the virtual routers and groups that are not asked for. A group's name stands for its members too.
///
/// # Errors
///
/// Something is asked for that does not exist.
pub(super) fn keep(status: &mut Status, names: &[String]) -> Result<(), String> {
    let Status {
        routers, groups, ..
    } = status;
    for name in names {
        let is_router = routers.iter().any(|r| r.name == *name);
        if !is_router && !groups.iter().any(|g| g.name == *name) {
            return Err(format!(
                "no virtual router and no sync group is called {name:?}"
            ));
        }
    }
    if !names.is_empty() {
        groups.retain(|g| names.contains(&g.name));
        let is_member = |name: &String| groups.iter().any(|g| g.members.contains(name));
        routers.retain(|r| names.contains(&r.name) || is_member(&r.name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::status;
    use super::*;

    fn kept(names: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
        let mut status = status();
        let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
        keep(&mut status, &names)?;
        let routers = status.routers.into_iter().map(|r| r.name).collect();
        Ok((routers, status.groups.into_iter().map(|g| g.name).collect()))
    }

    #[test]
    fn names_are_of_routers_and_groups() {
        for (names, routers, groups) in [
            (&[][..], &["web", "inside", "v6"][..], &["G"][..]),
            (&["web"], &["web"], &[]),
            (&["G"], &["web", "inside"], &["G"]),
            (&["v6", "G", "web"], &["web", "inside", "v6"], &["G"]),
        ] {
            let (r, g) = kept(names).unwrap();
            assert_eq!(
                (&r[..], &g[..]),
                (&*owned(routers), &*owned(groups)),
                "{names:?}"
            );
        }
        assert!(kept(&["web", "nobody"]).unwrap_err().contains("\"nobody\""));
        assert!(kept(&["WEB"]).is_err(), "names are as written");
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&n| n.to_owned()).collect()
    }
}

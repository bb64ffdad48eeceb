//! AWS names to Rust names. Pure.

/// Words that Rust keeps for itself and takes with `r#`.
const KEYWORDS: [&str; 45] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "unsafe", "unsized", "use", "where", "yield",
];

/// `enableECSManagedTags` to `enable_ecs_managed_tags`; keywords get `r#`, or a mark where that cannot be.
pub fn snake(name: &str) -> String {
    let snake = words(name).join("_");
    match snake.as_str() {
        "self" | "super" | "crate" => snake + "_",
        word if KEYWORDS.contains(&word) => format!("r#{snake}"),
        _ => snake,
    }
}

/// `RunTaskRequest` to `RUN_TASK_REQUEST`. Some models hold two names that differ only in the case of the
/// first letter; the small one gets a mark.
pub fn screaming(name: &str) -> String {
    let mark = if name.starts_with(|c: char| c.is_ascii_lowercase()) { "__LOWER" } else { "" };
    words(name).join("_").to_uppercase() + mark
}

/// A wire value of an enum to a variant: `CREATE_IN_PROGRESS` to `CreateInProgress`, `json-file` to `JsonFile`.
pub fn variant(value: &str) -> String {
    let mut out = String::new();
    for word in value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()) {
        let shouted = !word.chars().any(|c| c.is_ascii_lowercase());
        for (at, c) in word.chars().enumerate() {
            out.push(match (at, shouted) {
                (0, _) => c.to_ascii_uppercase(),
                (_, true) => c.to_ascii_lowercase(),
                (_, false) => c,
            });
        }
    }
    match out.as_str() {
        "Self" => "ItSelf".to_owned(),
        digits if digits.starts_with(|c: char| c.is_ascii_digit()) => format!("V{out}"),
        _ => out,
    }
}

/// A shape's name to a type's name.
pub fn type_name(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// What serde's `rename_all = "camelCase"` (or `"PascalCase"`) makes of a field.
pub fn serde_name(field: &str, pascal: bool) -> String {
    let field = field.strip_prefix("r#").unwrap_or(field);
    let mut out = String::new();
    for (at, word) in field.split('_').enumerate() {
        let mut chars = word.chars();
        if at > 0 || pascal {
            out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        }
        out.extend(chars);
    }
    out
}

fn words(name: &str) -> Vec<String> {
    let name = name.replace("GiB", "Gib").replace("MiB", "Mib");
    let chars: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = vec![String::new()];
    for (at, &c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let before = at.checked_sub(1).map(|i| chars[i]);
        let after = chars.get(at + 1);
        let hump = before.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let end_of_acronym =
            before.is_some_and(|b| b.is_ascii_uppercase()) && after.is_some_and(|a| a.is_ascii_lowercase());
        if c.is_ascii_uppercase() && (hump || end_of_acronym) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
    }
    words.retain(|w| !w.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_become_fields() {
        for (name, field) in [
            ("enableECSManagedTags", "enable_ecs_managed_tags"),
            ("type", "r#type"),
            ("Return", "r#return"),
            ("self", "self_"),
            ("sizeInGiB", "size_in_gib"),
            ("ipv6Address", "ipv6_address"),
            ("UserId", "user_id"),
        ] {
            assert_eq!(snake(name), field);
        }
    }

    #[test]
    fn values_become_variants() {
        for (value, name) in
            [("EC2", "Ec2"), ("json-file", "JsonFile"), ("awsvpc", "Awsvpc"), ("1", "V1"), ("SELF", "ItSelf")]
        {
            assert_eq!(variant(value), name);
        }
    }
}

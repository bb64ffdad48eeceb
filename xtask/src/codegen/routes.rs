//! How HTTP names an operation: what its row of the service's table says of method, path, status and host.

use super::model::{Model, Operation, Shape};

/// The calls that follow an operation's row, for all that is not as usual.
pub fn binding(model: &Model, name: &str, operation: &Operation) -> String {
    let mut out = String::new();
    let http = &operation.http;
    if is_rest(model) {
        let same = alike(model, operation);
        let current = same.iter().any(|(_, other)| !other.deprecated);
        if operation.deprecated && current && same.len() > 1 {
            // A newer operation has the very same requests.
            out.push_str(&format!(".at(\"\", {:?})", http.request_uri));
        } else {
            out.push_str(&format!(".at({:?}, {:?})", http.method, http.request_uri));
        }
        let needs = needs(model, operation);
        if same.len() > 1 && !needs.is_empty() {
            out.push_str(&format!(".needs(&{needs:?})"));
        }
    }
    if let Some(status) = http.response_code.filter(|status| *status != 200 && model.typed.contains(name)) {
        out.push_str(&format!(".status({status})"));
    }
    if let Some(prefix) = operation.endpoint.as_ref().and_then(|endpoint| endpoint.host_prefix.as_ref()) {
        out.push_str(&format!(".host_prefix({prefix:?})"));
    }
    if model.has_event_stream(operation) {
        out.push_str(".event_stream()");
    }
    out
}

fn is_rest(model: &Model) -> bool {
    model.metadata.protocol.starts_with("rest-")
}

/// The operations with this one's method and path, itself among them, whatever their labels are called.
fn alike<'a>(model: &'a Model, operation: &Operation) -> Vec<(&'a String, &'a Operation)> {
    let key = |operation: &Operation| (operation.http.method.clone(), blank(&operation.http.request_uri));
    let own = key(operation);
    model.operations.iter().filter(|(_, other)| key(other) == own).collect()
}

/// A path with its labels' names taken out.
fn blank(uri: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in uri.chars() {
        match c {
            '{' => inside = true,
            '}' => inside = false,
            c if inside && c != '+' => continue,
            _ => {}
        }
        out.push(c);
    }
    out
}

/// The parameters and headers without which no request means this operation.
fn needs(model: &Model, operation: &Operation) -> Vec<String> {
    let input = operation.input.as_ref().and_then(|input| model.shapes.get(&input.shape));
    input.map(required_places).unwrap_or_default()
}

fn required_places(shape: &Shape) -> Vec<String> {
    let required = shape.members.0.iter().filter(|(name, _)| shape.required.contains(name));
    let named = required.filter_map(|(name, member)| {
        let wire = member.location_name.as_ref().unwrap_or(name);
        match member.location.as_deref() {
            Some("querystring") => Some(format!("?{wire}")),
            Some("header") => Some(wire.to_ascii_lowercase()),
            _ => None,
        }
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_blank_and_greedy_ones_stay_so() {
        assert_eq!(blank("/{Bucket}/{Key+}?acl"), "/{}/{+}?acl");
        assert_eq!(blank("/plain"), "/plain");
    }
}

//! Event patterns, one a line, and an event on the last: reading, matching, and taking rules away. Two matchers that
//! came to the same rules by other ways find the same.
#![no_main]

use std::sync::Arc;

use events::pattern::{Matcher, Pattern};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((patterns, event)) = text.rsplit_once('\n') else { return };
    let patterns: Vec<Arc<Pattern>> =
        patterns.lines().take(8).filter_map(|line| Pattern::parse(line).ok()).map(Arc::new).collect();
    let (mut all, mut last) = (Matcher::new(), Matcher::new());
    for (rule, pattern) in patterns.iter().enumerate() {
        all.insert(rule, Arc::clone(pattern));
    }
    let before = all.find(event).map(|found| found.rules).ok();
    for (rule, pattern) in patterns.iter().enumerate().skip(1) {
        last.insert(rule, Arc::clone(pattern));
    }
    let shared = all.clone();
    all.remove(&0);
    assert_eq!(
        all.find(event).map(|found| found.rules).ok(),
        last.find(event).map(|found| found.rules).ok()
    );
    assert_eq!(shared.find(event).map(|found| found.rules).ok(), before);
});

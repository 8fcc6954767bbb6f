//! The contract names the test that holds each promise: the names have to be true.

const CONTRACT: &str = include_str!("../src/store.rs");
const KIT: &str = include_str!("../../store-testkit/src/conformance.rs");

/// Whether a chapter of the kit lists a test: `chapter {`, and the test on a line below it
/// before the chapter's end.
fn is_listed(chapter: &str, test: &str) -> bool {
    let begun = KIT.lines().map(str::trim);
    begun
        .skip_while(|line| *line != format!("{chapter} {{"))
        .take_while(|line| *line != "}")
        .any(|line| line == test)
}

#[test]
fn every_test_the_contract_names_is_one_of_the_kit() {
    let named: Vec<(&str, &str)> = CONTRACT
        .split('`')
        .filter_map(|text| text.split_once("::"))
        .filter(|(chapter, test)| {
            let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            is_name(chapter) && is_name(test)
        })
        .collect();
    assert!(
        named.len() >= 15,
        "the promises name their tests: {named:?}"
    );
    for (chapter, test) in named {
        assert!(
            is_listed(chapter, test),
            "{chapter}::{test} is not in the kit"
        );
    }
}

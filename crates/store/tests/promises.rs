//! The contract names the tests that hold its promises: the names have to be true.

const CONTRACT: [&str; 4] = [
    include_str!("../src/store.rs"),
    include_str!("../src/retention.rs"),
    include_str!("../src/checkpoint.rs"),
    include_str!("../src/snapshot.rs"),
];
const KIT: &str = concat!(
    include_str!("../../store-testkit/src/conformance.rs"),
    include_str!("../../store-testkit/src/optional.rs"),
);

/// Whether the kit lists a test under a chapter: the table has one name a line, below a line
/// with the chapter's, in braces that close on a line of their own.
fn is_listed(chapter: &str, test: &str) -> bool {
    let is_heading = |line: &str| line.split([' ', '{']).any(|word| word == chapter);
    let lines: Vec<&str> = KIT.lines().map(str::trim).collect();
    let headings = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| is_heading(line));
    headings.map(|(index, _)| &lines[index..]).any(|below| {
        let mut chapter = below.iter().skip_while(|line| !line.contains('{'));
        chapter.next();
        let own = chapter
            .skip_while(|line| **line == "{")
            .take_while(|line| **line != "}");
        own.into_iter().any(|line| *line == test)
    })
}

#[test]
fn every_test_the_contract_names_is_one_of_the_kit() {
    for (page, least) in CONTRACT.into_iter().zip([15, 8, 4, 3]) {
        let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let named: Vec<(&str, &str)> = page
            .split('`')
            .filter_map(|text| text.split_once("::"))
            .filter(|(chapter, test)| is_name(chapter) && is_name(test))
            .collect();
        assert!(
            named.len() >= least,
            "the promises name their tests: {named:?}"
        );
        for (chapter, test) in named {
            assert!(
                is_listed(chapter, test),
                "{chapter}::{test} is not in the kit"
            );
        }
    }
}

#[test]
fn a_name_that_is_not_in_the_kit_is_noticed() {
    assert!(is_listed("order", "the_head_never_moves_back"));
    assert!(!is_listed("order", "the_head_moves_back"));
    assert!(!is_listed("guards", "the_head_never_moves_back"));
}

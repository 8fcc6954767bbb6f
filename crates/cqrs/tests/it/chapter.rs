//! The chapter in the docs quotes the example, and the example compiles, runs and is tested.

use std::fs;
use std::path::Path;

/// Lines without what they are indented by.
fn flat(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_the_chapter_shows_is_in_the_example() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = flat(&fs::read_to_string(here.join("examples/shop.rs")).unwrap());
    let chapter = fs::read_to_string(here.join("../../docs/cqrs.md")).unwrap();
    let blocks: Vec<_> = chapter.split("```rust\n").skip(1).collect();
    assert!(blocks.len() >= 8, "the chapter has lost its code");
    for block in blocks {
        let (code, _) = block.split_once("```").expect("a block that ends");
        // An ellipsis stands for what is left out.
        for part in code.split("// ...\n") {
            let part = flat(part);
            assert!(example.contains(&part), "not in examples/shop.rs:\n{part}");
        }
    }
}

//! The house rules that a compiler does not know: arrows run downwards, pure floors stay pure, maps hold no logic,
//! and everything fits on a screen or two.
//!
//! The scanner below knows just enough of Rust: comments and texts are blanked, `#[cfg(test)]` items are taken out,
//! and `use` trees are unfolded. Its own tests stand at the end.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Floors that see no clock, RNG of their own, file, socket or environment.
const PURE: [&str; 10] = [
    "exit",
    "units",
    "strategy",
    "mutation",
    "record",
    "metrics",
    "schedule",
    "evolution",
    "comparison",
    "report",
];

/// What a pure floor must not name, as paths.
const IMPURE: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process::Command",
    "std::time::SystemTime",
    "tokio",
    "reqwest",
    "rand::rng",
];

/// The same as they are called after an import.
const IMPURE_CALLS: [&str; 3] = ["SystemTime::now", "Instant::now", "rand::rng"];

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 70;

/// A file of `src`, without its tests.
struct Module {
    path: PathBuf,
    /// As in `crate::batch::run`: `["batch", "run"]`.
    name: Vec<String>,
    /// Comments and texts blanked, test items taken out; every line is still there.
    code: String,
    /// Lines that are not part of a test.
    lines: usize,
}

impl Module {
    fn floor(&self) -> &str {
        &self.name[0]
    }

    fn is_map(&self) -> bool {
        self.path.ends_with("mod.rs") || self.path.ends_with("lib.rs")
    }
}

#[test]
fn arrows_run_downwards_in_the_order_of_lib_rs() {
    let floors = floors();
    let level = |floor: &str| floors.iter().position(|known| known == floor);
    let mut offences = Vec::new();
    for module in modules().iter().filter(|module| !module.name.is_empty()) {
        let own = level(module.floor()).unwrap();
        for target in crate_paths(module) {
            match level(&target) {
                None => {
                    offences.push(format!("{}: {target} is no floor", module.path.display()));
                }
                Some(other) if other > own => offences.push(format!(
                    "{}: {} must not use {target}, which stands above it",
                    module.path.display(),
                    module.floor(),
                )),
                Some(_) => {}
            }
        }
    }
    assert_eq!(offences, Vec::<String>::new());
}

#[test]
fn there_are_no_circles_between_floors() {
    let mut arrows = BTreeMap::<String, BTreeSet<String>>::new();
    for module in modules().iter().filter(|module| !module.name.is_empty()) {
        let own = module.floor().to_owned();
        let targets = crate_paths(module).into_iter().filter(|target| *target != own);
        arrows.entry(own.clone()).or_default().extend(targets);
    }
    assert_eq!(circles(arrows), BTreeMap::new());
}

#[test]
fn there_are_no_circles_between_files() {
    let modules = modules();
    let names: BTreeSet<Vec<String>> = modules.iter().map(|module| module.name.clone()).collect();
    let exports: BTreeMap<Vec<String>, BTreeMap<String, Vec<String>>> =
        modules.iter().map(|module| (module.name.clone(), exports(module, &names))).collect();
    let mut arrows = BTreeMap::<String, BTreeSet<String>>::new();
    for module in modules.iter().filter(|module| !module.is_map()) {
        let targets = absolute_paths(module).into_iter().map(|path| origin(path, &names, &exports));
        let targets = targets.filter(|target| !target.is_empty() && *target != module.name);
        let targets = targets.map(|target| target.join("::")).collect();
        arrows.insert(module.name.join("::"), targets);
    }
    assert_eq!(circles(arrows), BTreeMap::new());
}

#[test]
fn every_module_of_lib_rs_is_there_and_main_uses_the_library_alone() {
    let modules = modules();
    let there: BTreeSet<&str> =
        modules.iter().filter(|module| !module.name.is_empty()).map(Module::floor).collect();
    assert_eq!(there, floors().iter().map(String::as_str).collect());
    let main = fs::read_to_string(root().join("src/main.rs")).unwrap();
    assert!(!without_tests(&blanked(&main)).contains("mod "), "main.rs has no modules of its own");
    assert!(main.lines().count() < 60, "main.rs parses, dispatches, and does nothing else");
}

#[test]
fn pure_floors_name_no_clock_file_socket_environment_or_randomness() {
    let mut offences = Vec::new();
    for module in modules().iter().filter(|module| !module.name.is_empty()) {
        if !PURE.contains(&module.floor()) {
            continue;
        }
        let mut named: Vec<String> = uses(&module.code);
        named.extend(paths(&module.code));
        for impure in IMPURE {
            let below = format!("{impure}::");
            if named.iter().any(|path| path == impure || path.starts_with(&below)) {
                offences.push(format!("{}: {impure}", module.path.display()));
            }
        }
        for call in IMPURE_CALLS {
            let suffix = format!("::{call}");
            if named.iter().any(|path| path == call || path.ends_with(&suffix)) {
                offences.push(format!("{}: {call}", module.path.display()));
            }
        }
    }
    assert_eq!(offences, Vec::<String>::new());
}

#[test]
fn maps_hold_no_functions() {
    let modules = modules();
    let maps = modules.iter().filter(|module| module.is_map());
    let offences: Vec<_> = maps
        .flat_map(|module| functions(&module.code).into_iter().map(|one| (&module.path, one.0)))
        .collect();
    assert_eq!(offences, []);
}

#[test]
fn no_file_is_longer_than_500_lines_without_its_tests() {
    let modules = modules();
    let long = modules.iter().filter(|module| module.lines > LONGEST_FILE);
    let offences: Vec<_> = long.map(|module| (&module.path, module.lines)).collect();
    assert_eq!(offences, []);
}

#[test]
fn no_function_is_longer_than_70_lines() {
    let mut offences = Vec::new();
    for module in modules() {
        for (name, lines) in functions(&module.code) {
            if lines > LONGEST_FUNCTION {
                offences.push((module.path.clone(), name, lines));
            }
        }
    }
    assert_eq!(offences, []);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The floors as lib.rs lists them, from the ground up.
fn floors() -> Vec<String> {
    let text = blanked(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(ToOwned::to_owned).collect()
}

/// All files of `src` but main.rs and those that only tests have.
fn modules() -> Vec<Module> {
    let source = root().join("src");
    let mut found = Vec::new();
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if path.is_dir() {
                // `#[cfg(test)] mod tests;` everywhere; `tests_are_test_code` holds it.
                if stem != "tests" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|end| end == "rs")
                && !matches!(stem, "main" | "tests")
            {
                found.push(module(&source, &path));
            }
        }
    }
    assert!(found.len() > 50, "src is found");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn module(source: &Path, path: &Path) -> Module {
    let text = blanked(&fs::read_to_string(path).unwrap());
    let code = without_tests(&text);
    let relative = path.strip_prefix(source).unwrap().with_extension("");
    let mut name: Vec<String> =
        relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if matches!(name.last().map(String::as_str), Some("mod" | "lib")) {
        name.pop();
    }
    let before = fs::read_to_string(path).unwrap();
    let lines = before.lines().count() - test_lines(&text);
    Module { path: path.strip_prefix(root()).unwrap().to_owned(), name, code, lines }
}

/// The floors that a module names, its own among them.
fn crate_paths(module: &Module) -> BTreeSet<String> {
    absolute_paths(module).into_iter().filter_map(|path| path.into_iter().next()).collect()
}

/// Every path into this crate that a module names, from the crate's root on.
fn absolute_paths(module: &Module) -> BTreeSet<Vec<String>> {
    let mut all = uses(&module.code);
    all.extend(paths(&module.code));
    let mut found = BTreeSet::new();
    for path in all {
        let mut parts = path.split("::").peekable();
        let mut within = match parts.peek() {
            Some(&"crate") => {
                parts.next();
                Vec::new()
            }
            Some(&"super") => module.name.clone(),
            _ => continue,
        };
        while parts.next_if_eq(&"super").is_some() {
            within.pop();
        }
        within.extend(parts.map(ToOwned::to_owned));
        found.insert(within);
    }
    found
}

/// Those that are in a circle, and those between two.
fn circles(mut arrows: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    // Take away whoever uses nobody that is left; what cannot be taken away is in a circle.
    while let Some(free) = arrows
        .iter()
        .find(|(_, targets)| targets.iter().all(|target| !arrows.contains_key(target)))
        .map(|(name, _)| name.clone())
    {
        arrows.remove(&free);
    }
    // And whoever is used by nobody that is left: it only leads there.
    while let Some(unused) =
        arrows.keys().find(|name| !arrows.values().any(|targets| targets.contains(*name))).cloned()
    {
        arrows.remove(&unused);
    }
    let left: BTreeSet<String> = arrows.keys().cloned().collect();
    for targets in arrows.values_mut() {
        targets.retain(|target| left.contains(target));
    }
    arrows
}

/// What a module re-exports from its own children, and from where.
fn exports(module: &Module, names: &BTreeSet<Vec<String>>) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for path in uses(&module.code) {
        let mut of = module.name.clone();
        of.extend(path.trim_start_matches("self::").split("::").map(ToOwned::to_owned));
        let item = of.pop().unwrap();
        if of.len() > module.name.len() && names.contains(&of) {
            found.insert(item, of);
        }
    }
    found
}

/// The file in which what a path names was written: maps are looked through.
fn origin(
    mut path: Vec<String>,
    names: &BTreeSet<Vec<String>>,
    exports: &BTreeMap<Vec<String>, BTreeMap<String, Vec<String>>>,
) -> Vec<String> {
    let whole = path.clone();
    while !path.is_empty() && !names.contains(&path) {
        path.pop();
    }
    let exported = whole.get(path.len()).and_then(|item| exports.get(&path)?.get(item));
    exported.cloned().unwrap_or(path)
}

/// Text with comments, strings and characters turned to blanks; newlines stay.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = foreign_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment, string or character that begins here ends; `at` itself where none begins.
fn foreign_end(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| text.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    let find = |from: usize, wanted: &dyn Fn(usize) -> bool| {
        (from..chars.len()).find(|place| wanted(*place)).unwrap_or(chars.len())
    };
    let after_name = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if starts("//") {
        return find(at, &|place| chars[place] == '\n');
    }
    if starts("/*") {
        return (find(at + 2, &|place| chars[place] == '*' && chars.get(place + 1) == Some(&'/'))
            + 2)
        .min(chars.len());
    }
    if !after_name && (starts("r\"") || starts("r#\"") || starts("br\"") || starts("br#\"")) {
        let quote = find(at, &|place| chars[place] == '"');
        let hashes = chars[at..quote].iter().filter(|c| **c == '#').count();
        let closes = |place: usize| {
            chars[place] == '"'
                && (1..=hashes).all(|number| chars.get(place + number) == Some(&'#'))
        };
        return (find(quote + 1, &closes) + 1 + hashes).min(chars.len());
    }
    if starts("\"") {
        return closing(chars, at, '"');
    }
    // A character, not a lifetime: 'x' or '\…'.
    if starts("'") && (chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'')) {
        return closing(chars, at, '\'');
    }
    at
}

/// After the closing mark, escaped ones passed over.
fn closing(chars: &[char], at: usize, mark: char) -> usize {
    let mut place = at + 1;
    while place < chars.len() && chars[place] != mark {
        place += if chars[place] == '\\' { 2 } else { 1 };
    }
    (place + 1).min(chars.len())
}

/// The ranges of `#[cfg(test)]` items in blanked text.
fn test_items(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find("#[cfg(test)]").map(|at| from + at) {
        let end = item_end(text, start + "#[cfg(test)]".len());
        found.push(start..end);
        from = end;
    }
    found
}

/// The end of the item that begins after `from`: its semicolon or its closing brace.
fn item_end(text: &str, from: usize) -> usize {
    let mut depth = 0;
    for (at, c) in text[from..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth -= 1;
                if depth == 0 && c == '}' {
                    return from + at + 1;
                }
            }
            ';' if depth == 0 => return from + at + 1,
            _ => {}
        }
    }
    text.len()
}

fn without_tests(text: &str) -> String {
    let mut code = text.to_owned();
    for range in test_items(text).into_iter().rev() {
        let newlines = "\n".repeat(text[range.clone()].matches('\n').count());
        code.replace_range(range, &newlines);
    }
    code
}

fn test_lines(text: &str) -> usize {
    test_items(text).into_iter().map(|range| text[range].matches('\n').count() + 1).sum()
}

/// What `use` declarations name, each path whole.
fn uses(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let before = code[..at].trim_end_matches([' ', '\t']);
        let declared = before.is_empty() || before.ends_with(['\n', ')', ';', '{', '}', 'b']);
        if declared && let Some(end) = code[at..].find(';') {
            let tree: String =
                code[at + 4..at + end].split_whitespace().collect::<Vec<_>>().join(" ");
            unfold("", &tree, &mut found);
        }
    }
    found
}

/// `a::{b, c::{d, e as f}}` as `a::b`, `a::c::d`, `a::c::e`.
fn unfold(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap().trim();
        found.push(format!("{prefix}{path}").replace("::self", ""));
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let inner = &rest[..rest.rfind('}').unwrap()];
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                unfold(&prefix, &inner[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        unfold(&prefix, &inner[start..], found);
    }
}

/// Every path with `::` in it, wherever it stands.
fn paths(code: &str) -> Vec<String> {
    let belongs = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c| !belongs(c)).filter(|word| word.contains("::"));
    words.map(|word| word.trim_matches(':').to_owned()).collect()
}

/// The functions of blanked code with their length in lines, from `fn` to the closing brace.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let name: String =
            code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let own = code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        // `fn(…)` is a type, and has no name.
        if own && !name.is_empty() {
            let end = item_end(code, at);
            found.push((name, code[at..end].matches('\n').count() + 1));
        }
    }
    found
}

#[test]
fn tests_are_test_code() {
    for module in modules() {
        let text = blanked(&fs::read_to_string(root().join(&module.path)).unwrap());
        let declared = text.contains("mod tests;");
        let left = module.code.contains("mod tests;");
        assert!(!left, "{}: tests without #[cfg(test)]", module.path.display());
        let folder = root().join(&module.path).with_file_name("tests");
        if module.is_map() && (folder.is_dir() || folder.with_extension("rs").is_file()) {
            assert!(declared, "{}: tests that nobody runs", module.path.display());
        }
    }
}

#[test]
fn the_scanner_passes_over_comments_texts_and_tests() {
    let text = concat!(
        "// use crate::a;\n/* crate::b */ let s = \"crate::c\"; let r = r#\"crate::d \" \"#;\n",
        "let c = '\"'; let l: &'static str = x; crate::e::f();\n",
        "#[cfg(test)]\n#[expect(x)]\nmod tests {\n    use crate::g;\n}\nfn last() {}\n",
    );
    let code = without_tests(&blanked(text));
    assert_eq!(paths(&code), ["crate::e::f"]);
    assert_eq!(uses(&code), Vec::<String>::new());
    assert_eq!(code.lines().count(), text.lines().count());
    assert_eq!(test_lines(&blanked(text)), 5);
    assert_eq!(functions(&code), [("last".to_owned(), 1)]);
}

#[test]
fn the_scanner_unfolds_uses_and_climbs_up() {
    let module = Module {
        path: PathBuf::from("src/batch/run.rs"),
        name: vec!["batch".into(), "run".into()],
        code: "use super::super::{cli, units::{self, Kind as K}};\npub(crate) use crate::disk;\n\
               use super::Clock;\nuse std::{env, fs::{self, File}};\nfn a() { super::b() }\n"
            .into(),
        lines: 5,
    };
    let floors = crate_paths(&module);
    assert_eq!(floors.into_iter().collect::<Vec<_>>(), ["batch", "cli", "disk", "units"]);
    let uses = uses(&module.code);
    for path in ["std::env", "std::fs", "std::fs::File", "super::super::units::Kind"] {
        assert!(uses.iter().any(|used| used == path), "{path} is not in {uses:?}");
    }
}

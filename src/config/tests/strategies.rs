//! Finding the strategies' files, in real folders.

use super::environment;
use crate::config::{Config, ConfigError};
use std::path::Path;

/// A config beside the given files, in a folder whose name looks like a pattern.
fn found(files: &[&str], keys: &str) -> Result<Vec<String>, ConfigError> {
    let folder = tempfile::Builder::new().prefix("[a]*").tempdir().unwrap();
    found_in(folder.path(), files, keys)
}

fn found_in(folder: &Path, files: &[&str], keys: &str) -> Result<Vec<String>, ConfigError> {
    for file in files {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        super::write(&path, b"");
    }
    let text = format!("[strategies]\n{keys}\n");
    let config = Config::parse(&text, &folder.join("agent.toml"), &environment()).unwrap();
    let files = config.strategy_files()?;
    assert!(files.iter().all(|file| file.path.is_file()));
    Ok(files.into_iter().map(|file| file.name).collect())
}

#[test]
fn files_are_found_once_and_in_order_under_names_relative_to_the_config() {
    let names = found(
        &["s/b.py", "s/a.py", "s/c.txt", "t.py", "s/deep/d.py"],
        "include = [\"t.py\", \"s/*.py\", \"./s/a.py\", \"s/../t.py\", \"s/*\"]",
    );
    assert_eq!(names.unwrap(), ["s/a.py", "s/b.py", "s/c.txt", "t.py"]);
}

#[test]
fn two_stars_cross_folders_and_hidden_files_are_passed_over() {
    let names = found(&["a.py", "x/y/b.py", ".c.py", "x/.d/e.py"], "include = [\"**/*.py\"]");
    assert_eq!(names.unwrap(), ["a.py", "x/y/b.py"]);
}

#[test]
fn what_exclude_matches_is_left_out() {
    let files = ["s/a.py", "s/test_a.py", "s/old/b.py"];
    let keys = "include = [\"s/**/*.py\"]\nexclude = [\"./s/test_*.py\", \"s/old/*\", \"nothing\"]";
    assert_eq!(found(&files, keys).unwrap(), ["s/a.py"]);
    // A `*` does not cross folders here either.
    let keys = "include = [\"s/**/*.py\"]\nexclude = [\"s/*.py\"]";
    assert_eq!(found(&files, keys).unwrap(), ["s/old/b.py"]);
}

#[test]
fn absolute_patterns_are_taken_as_they_are() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("z.py");
    super::write(&file, b"");
    let keys = format!("include = [\"a.py\", \"{}/*.py\"]", elsewhere.path().display());
    assert_eq!(found(&["a.py"], &keys).unwrap(), [file.to_str().unwrap(), "a.py"]);
}

#[test]
fn a_link_to_a_strategy_is_no_second_strategy() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("a.py", folder.path().join("link.py")).unwrap();
    assert_eq!(found_in(folder.path(), &["a.py"], "include = [\"*.py\"]").unwrap(), ["a.py"]);
}

#[test]
fn a_pattern_that_finds_nothing_is_named() {
    for keys in ["include = [\"a.py\", \"no/*.py\"]", "include = [\"no/*.py\"]"] {
        let error = found(&["a.py", "no/x.txt"], keys).unwrap_err();
        let ConfigError::NoMatch { pattern, .. } = &error else { panic!("{error}") };
        assert_eq!(pattern, "no/*.py");
    }
}

#[test]
fn to_exclude_everything_is_an_error() {
    let error = found(&["a.py"], "include = [\"*.py\"]\nexclude = [\"*\"]").unwrap_err();
    assert!(matches!(error, ConfigError::AllExcluded { .. }), "{error}");
}

#[test]
fn a_name_that_cannot_be_a_label_is_refused() {
    let error = found(&["a\nb.py"], "include = [\"*.py\"]").unwrap_err();
    assert!(matches!(error, ConfigError::UnprintableMatch { .. }), "{error}");
}

#[test]
fn text_that_is_no_pattern_is_refused_at_its_place() {
    let error = super::parse("[strategies]\ninclude = [\"a.py\", \"[a\"]").unwrap_err().to_string();
    assert!(error.starts_with("agent.toml:2:20: `[a` is no pattern: "), "{error}");
    let error = super::parse("[strategies]\ninclude = [\"\"]").unwrap_err().to_string();
    assert!(error.starts_with("agent.toml:2:12: `include` must not be empty"), "{error}");
}

#[test]
fn what_the_agent_writes_itself_is_no_strategy() {
    let files = ["a.py", "x/b.py", "x/evolved/c.py", "evolved/b-1/a/m.py", "mutation-data/d.py"];
    let keys = "include = [\"**/*.py\"]";
    let all_but = |dirs: &str, expected: &[&str]| {
        assert_eq!(found(&files, &format!("{keys}\n{dirs}")).unwrap(), expected, "{dirs}");
    };
    all_but("", &["a.py", "x/b.py", "x/evolved/c.py"]);
    all_but("[output]\ndir = \"./x/../x/evolved\"", &["a.py", "evolved/b-1/a/m.py", "x/b.py"]);
    // Not below a folder is what only begins with its name.
    all_but("[output]\ndir = \"evo\"", &["a.py", "evolved/b-1/a/m.py", "x/b.py", "x/evolved/c.py"]);
    let error = found(&files, "include = [\"evolved/**/*.py\"]").unwrap_err();
    assert!(matches!(error, ConfigError::AllExcluded { .. }), "{error}");
}

#[test]
fn a_linked_output_folder_is_passed_over_by_its_other_name_too() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("real", folder.path().join("evolved")).unwrap();
    std::fs::create_dir(folder.path().join("real")).unwrap();
    let keys = "include = [\"*.py\", \"*/*.py\"]";
    assert_eq!(found_in(folder.path(), &["a.py", "real/b.py"], keys).unwrap(), ["a.py"]);
}

#[test]
fn a_name_that_is_no_utf8_and_a_link_to_nowhere_are_passed_over() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"odd\xff.py"));
    for path in [folder.path().join("a.py"), odd] {
        std::fs::File::create(path).unwrap();
    }
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling.py")).unwrap();
    let text = "[strategies]\ninclude = [\"*.py\"]\n";
    let config = Config::parse(text, &folder.path().join("agent.toml"), &environment()).unwrap();
    let found: Vec<_> =
        config.strategy_files().unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(found, ["a.py"]);
}

//! Tells the binary which commit it was built from, for `mutation_agent_build_info`.

use std::path::Path;
use std::process::Command;

#[expect(clippy::disallowed_methods, reason = "a build script is configured by its environment")]
fn main() {
    println!("cargo::rerun-if-env-changed=MUTATION_AGENT_REVISION");
    // Each commit and checkout adds a line to the log. Where they lie is git's to say (a worktree has them elsewhere),
    // and a path that is not there would mean a new build each time.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) =
            git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists())
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    // A packager sets it; a checkout knows it; anything else is `unknown`.
    if std::env::var_os("MUTATION_AGENT_REVISION").is_some() {
        return;
    }
    if let Some(revision) = git(&["rev-parse", "--short=12", "HEAD"]) {
        println!("cargo::rustc-env=MUTATION_AGENT_REVISION={revision}");
    }
}

/// What git answers; nothing without git or outside of a checkout.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

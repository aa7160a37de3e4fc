//! Tells the binary which commit it was built from, for `mutation_agent_build_info`.

use std::process::Command;

#[expect(clippy::disallowed_methods, reason = "a build script is configured by its environment")]
fn main() {
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/refs/heads");
    println!("cargo::rerun-if-env-changed=MUTATION_AGENT_REVISION");
    // A packager sets it; a checkout knows it; anything else is `unknown`.
    if std::env::var_os("MUTATION_AGENT_REVISION").is_some() {
        return;
    }
    let git = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let revision = git.ok().filter(|output| output.status.success());
    if let Some(revision) = revision.and_then(|output| String::from_utf8(output.stdout).ok()) {
        println!("cargo::rustc-env=MUTATION_AGENT_REVISION={}", revision.trim());
    }
}

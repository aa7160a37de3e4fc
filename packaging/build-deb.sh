#!/usr/bin/env bash
# Builds the Debian package and prints where it is: target/debian/mutation-agent_VERSION_ARCH.deb
#
#     cargo install cargo-deb --version 3.8.0 --locked
#     packaging/build-deb.sh
#
# Arguments go to `cargo deb`, such as `--output FILE`. With PROFILE=dev nothing is optimised, which is for tests.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
profile=${PROFILE:-release}
target=${CARGO_TARGET_DIR:-target}
cargo build --locked --profile "$profile" --bin mutation-agent
built=$target/${profile/#dev/debug}
made=target/package-files
mkdir -p "$made"

# What the program says about itself.
"$built/mutation-agent" man >"$made/mutation-agent.1"
"$built/mutation-agent" completions bash >"$made/mutation-agent.bash"
"$built/mutation-agent" completions zsh >"$made/_mutation-agent"
"$built/mutation-agent" completions fish >"$made/mutation-agent.fish"

# replace WHAT BY: one whole line of the config that is installed, and it must be there once.
replace() {
    if [[ $(grep -cxF -- "$1" "$made/agent.toml") != 1 ]]; then
        echo "agent.toml.example has no single line: $1" >&2
        exit 1
    fi
    awk -v from="$1" -v to="$2" '{ print $0 == from ? to : $0 }' "$made/agent.toml" >"$made/agent.toml.new"
    mv "$made/agent.toml.new" "$made/agent.toml"
}

# In Debian's form, dated by the sources: the same at each build.
date=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date -r Cargo.lock +%s)}
maintainer=$(sed -n 's/^maintainer = "\(.*\)"$/\1/p' Cargo.toml)
cat >"$made/changelog" <<END
mutation-agent ($("$built/mutation-agent" --version | cut -d ' ' -f 2)) unstable; urgency=medium

  * See CHANGELOG.md.

 -- $maintainer  $(date -uR -d "@$date")
END

# The example, with the folders that the unit may write, and without what only the repository has.
{
    cat packaging/agent.toml.head
    awk 'begun { print } /^#?$/ && !begun { next } /^# Lines like `# key = value`/ && !begun { begun = 1; print }' agent.toml.example
} >"$made/agent.toml"
replace '# data_dir = "mutation-data"' 'data_dir = "/var/lib/mutation-agent"'
replace 'include = ["examples/strategies/*.py"]' 'include = ["/etc/mutation-agent/strategies/*.py"]'
replace '#command = ["python3", "examples/evaluators/backtest.py", "{candidate}"]' \
    '#command = ["python3", "/usr/share/doc/mutation-agent/examples/evaluators/backtest.py", "{candidate}"]'
replace '# dir = "evolved"' 'dir = "/var/lib/mutation-agent/evolved"'

# `dev` is `debug` on disk, and paths in Cargo.toml begin with target/release whatever the profile.
SOURCE_DATE_EPOCH=$date exec cargo deb --no-build --profile "$profile" "$@"

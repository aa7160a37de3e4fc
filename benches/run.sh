#!/usr/bin/env bash
# Everything that docs/PERFORMANCE.md says, measured anew: builds, runs the pieces (criterion) and the whole program
# beside others at the same work, and prints a Markdown table for each section.
#
#     benches/run.sh                     all of it: about a quarter of an hour, 9 GB of disk below target/
#     benches/run.sh writing reading     these sections of side_by_side.py
#     benches/run.sh --write             and the tables go into docs/PERFORMANCE.md
#     benches/run.sh --brief             small sizes, everything once: sees that all rivals agree, judges no time
#
# What is missing is installed: Debian or Ubuntu by apt, as root or with sudo; pip into target/benches/venv. Leave the
# machine alone meanwhile. MUTATION_AGENT=PATH names a binary, VENV=FOLDER another environment; then neither is made.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}
venv=${VENV:-$target/benches/venv}
export PYTHONDONTWRITEBYTECODE=1

# Packages of Debian, for the programs that are missing.
install_programs() {
    local packages=() as_root=()
    while read -r program package; do
        [[ -e $program ]] || command -v "$program" >/dev/null || packages+=("$package")
    done <<'PROGRAMS'
cc gcc
jq jq
curl curl
zstd zstd
findmnt util-linux
go golang-go
/usr/share/gocode/src/github.com/prometheus/client_golang golang-github-prometheus-client-golang-dev
prometheus-pushgateway prometheus-pushgateway
python3 python3
PROGRAMS
    python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
    if ((${#packages[@]} == 0)); then
        return
    fi
    if ! command -v apt-get >/dev/null; then
        echo "missing: ${packages[*]}; without apt-get they have to be installed by hand" >&2
        return 1
    fi
    ((EUID == 0)) || as_root=(sudo -n)
    "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${packages[@]}" >&2
}

install_programs
if [[ -z ${VENV:-} ]]; then
    [[ -d $venv ]] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement benches/requirements.txt
fi
if [[ -z ${MUTATION_AGENT:-} ]]; then
    cargo build --release
    export MUTATION_AGENT=$target/release/mutation-agent
    # The pieces, unless a section is asked for or it is to be brief.
    if [[ -z $* || $* == --write ]]; then
        find benches -maxdepth 1 -name '*.rs' -printf '%f\n' | sort | while IFS= read -r piece; do
            cargo bench --bench "${piece%.rs}" </dev/null
        done
    fi
fi
exec "$venv/bin/python" benches/side_by_side.py "$@"

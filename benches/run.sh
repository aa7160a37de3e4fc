#!/usr/bin/env bash
# Everything that docs/PERFORMANCE.md and docs/SCALE.md say, measured anew: builds, runs the pieces (criterion) and the whole program
# beside others at the same work, and prints a Markdown table for each section.
#
#     benches/run.sh                     all of it: some 25 minutes, 9 GB of disk below target/
#     benches/run.sh writing reading     these sections of side_by_side.py
#     benches/run.sh --write             and the tables go into these two
#     benches/run.sh --brief             small sizes, everything once: sees that all rivals agree, judges no time
#
# What is missing is installed: Debian or Ubuntu by apt, as root or with sudo; pip into target/benches/venv. Leave the
# machine alone meanwhile. MUTATION_AGENT=PATH names a binary, VENV=FOLDER another environment; then neither is made.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
brief=
for word in "$@"; do
    case $word in
    --brief) brief=yes ;;
    --write) ;;
    -h | --help) exec sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" ;;
    *)
        if [[ ! -e $root/benches/sections/$word.py ]]; then
            echo "benches/run.sh: no section or option $word; --help says what there is" >&2
            exit 2
        fi
        ;;
    esac
done
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
export CARGO_TARGET_DIR=$target
if [[ -n ${MUTATION_AGENT:-} ]]; then
    MUTATION_AGENT=$(realpath -m "$MUTATION_AGENT")
    if [[ $("$MUTATION_AGENT" --version) != mutation-agent\ * ]]; then
        echo "benches/run.sh: MUTATION_AGENT is no mutation-agent: $MUTATION_AGENT" >&2
        exit 2
    fi
fi
cd "$root"
venv=${VENV:-$target/benches/venv}
export PYTHONDONTWRITEBYTECODE=1
mkdir -p "$target/benches"
exec 9>"$target/benches/lock"
if [[ -z $brief ]] && ! flock -n 9; then
    echo "benches/run.sh: another one is measuring, and both would be wrong" >&2
    exit 75
fi

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
    [[ -x $venv/bin/pip ]] || python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement benches/requirements.txt
fi
if ! "$venv/bin/python" -c 'import duckdb, libcst, pandas, polars, prometheus_client'; then
    echo "benches/run.sh: $venv lacks packages of benches/requirements.txt" >&2
    exit 2
fi
if [[ -z ${MUTATION_AGENT:-} ]]; then
    cargo build --release
    export MUTATION_AGENT=$target/release/mutation-agent
    REVISION=$(git describe --always --dirty 2>/dev/null || echo 'no revision')
    export REVISION
    # The pieces, unless a section is asked for or it is to be brief.
    if [[ -z $* || $* == --write ]]; then
        find benches -maxdepth 1 -name '*.rs' -printf '%f\n' | sort | while IFS= read -r piece; do
            cargo bench --bench "${piece%.rs}" </dev/null
        done
    fi
fi
exec "$venv/bin/python" benches/side_by_side.py "$@"

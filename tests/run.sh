#!/usr/bin/env bash
# All checks, against real parts: formatting, lints, documentation, licences, the tests of cargo, and the
# end-to-end checks of tests/e2e with a real Pushgateway, Prometheus, CPython and published strategies, and those of
# tests/faults with crashes, errors and full disks at every call.
#
# What is missing is installed (Debian or Ubuntu: apt, as root or with sudo; pip into a temporary folder). A part
# that cannot be had is a failure, not a skip; but for a nightly compiler, without which nothing is fuzzed. Any
# folder will do to start from, and two runs do not disturb each other. The last line is `N passed, N failed`.
#
# `benches` sees that what docs/PERFORMANCE.md and docs/SCALE.md measure works and that all rivals agree; it judges no time.
#
#     tests/run.sh                          everything
#     tests/run.sh e2e/judge faults/crash   the build and these checks

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
work=$(mktemp -d "${TMPDIR:-/tmp}/mutation-agent-tests.XXXXXX")
# Ours, so that what a check leaves behind is found and goes with it; a check that plays another user passes through.
chmod 711 "$work"
export TMPDIR=$work
export PYTHONPYCACHEPREFIX=$work/bytecode
# Faults are simulated, so the folders in which they strike may be in memory, where a sync costs nothing; so may those of
# cargo's tests, which start programs there.
memory=$work
if [[ $(stat -f -c %T /dev/shm 2>/dev/null) == tmpfs && $(findmnt -no OPTIONS /dev/shm) != *noexec* ]] &&
    (($(stat -f -c '%a * %S' /dev/shm) > 1 << 30)); then
    memory=$(mktemp -d /dev/shm/mutation-agent-tests.XXXXXX)
    chmod 711 "$memory"
fi
# What takes long to make, and more than one check needs.
export SHARED=$work/shared
mkdir "$SHARED"
cargo_home=${CARGO_HOME:-$HOME/.cargo}
tools=$cargo_home/mutation-agent-tests
export PATH=$PATH:$tools/bin
target=${CARGO_TARGET_DIR:-$root/target}
export MUTATION_AGENT=$target/debug/mutation-agent
# Scripts in tests/, and benches/run.sh; the longest come first, so that the others go on beside them.
checks=(
    faults/crash faults/errors faults/ingest faults/midstates
    e2e/readme e2e/nightly_job e2e/scraped e2e/rules e2e/alerts e2e/dashboard e2e/interop
    e2e/gateway_away e2e/gateway_stories e2e/remote_write e2e/groups e2e/verify e2e/access e2e/terminal
    e2e/stop e2e/signals e2e/starts e2e/hostile e2e/clock e2e/schedule e2e/judge e2e/real_strategies e2e/memory e2e/cron
    e2e/evaluators e2e/engines e2e/five_nights e2e/evolution e2e/evaluation_ends e2e/compare e2e/report
    e2e/ingest e2e/follow
    e2e/package e2e/systemd e2e/kubernetes e2e/slurm benches faults/full_disk faults/evolution
)
passed=0
failed=0
# Signals that were ignored when we were started (nohup, a background job) would be ignored in the checks as well.
listening=(env --default-signal=HUP,INT,TERM)
# By process: what it is, and since when.
declare -A running=() began=()

finish() {
    status=$?
    trap - EXIT INT TERM HUP
    for pid in "${!running[@]}"; do
        kill -TERM -- "-$pid" 2>/dev/null || true
    done
    wait
    rm -rf "$work" "$memory"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# check NAME COMMAND...: runs it, says in one line how it went, and goes on; so of what ends meanwhile.
check() {
    begin "$@"
    local pid=$!
    while [[ -n ${running[$pid]:-} ]]; do
        finish_one
    done
}

finish_all() {
    while ((${#running[@]} > 0)); do
        finish_one
    done
}

# begin NAME COMMAND...: starts it beside those that run; in the background, so that a signal to us is seen at once,
# and as a process group, so that it goes whole.
begin() {
    local name=$1
    shift
    set -m
    "$@" >"$work/log.${name//\//.}" 2>&1 </dev/null &
    set +m
    running[$!]=$name
    began[$!]=$EPOCHREALTIME
}

# Waits for one of those that run, and says in one line how it went.
finish_one() {
    local pid status=0
    wait -n -p pid "${!running[@]}" || status=$?
    local name=${running[$pid]} seconds
    local log=$work/log.${name//\//.}
    unset "running[$pid]"
    seconds=$(awk -v from="${began[$pid]}" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }')
    if ((status == 0)); then
        passed=$((passed + 1))
        printf 'ok    %7s s  %s%s\n' "$seconds" "$name" "$(note "$name" "$log")"
    else
        failed=$((failed + 1))
        printf 'FAIL  %7s s  %s (exit code %d)\n' "$seconds" "$name" "$status"
        sed 's/^/    | /' "$log" | tail -n 100
    fi
}

# What a check says about itself: the last line of an end-to-end check, the sums of cargo test.
note() {
    case $1 in
    e2e/* | faults/* | benches) printf ': %s' "$(tail -n 1 "$2")" ;;
    fuzz) awk '/: Done / { sum += $3 } END { printf ": %d inputs", sum }' "$2" ;;
    'cargo test') awk '/^test result:/ { sum += $4 } END { printf ": %d tests", sum }' "$2" ;;
    esac
}

# Packages of Debian, for the programs that are missing.
install_programs() {
    local packages=() as_root=()
    while read -r program package; do
        command -v "$program" >/dev/null || packages+=("$package")
    done <<'PROGRAMS'
prometheus-pushgateway prometheus-pushgateway
prometheus prometheus
promtool prometheus
prometheus-alertmanager prometheus-alertmanager
amtool prometheus-alertmanager
prometheus-node-exporter prometheus-node-exporter
jq jq
curl curl
go golang-go
openssl openssl
strace strace
faketime faketime
zstd zstd
node nodejs
npm npm
/usr/sbin/rsyslogd rsyslog
/usr/bin/time time
cc gcc
mmdebstrap mmdebstrap
ip iproute2
dpkg-shlibdeps dpkg-dev
systemd-analyze systemd
python3 python3
chromium chromium
pdfinfo poppler-utils
buildah buildah
rclone rclone
/usr/sbin/munged munge
/usr/sbin/slurmctld slurmctld
/usr/sbin/slurmd slurmd
sbatch slurm-client
PROGRAMS
    python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || packages+=(ca-certificates)
    [[ -e /usr/share/gocode/src/github.com/prometheus/client_golang ]] ||
        packages+=(golang-github-prometheus-client-golang-dev)
    if ((${#packages[@]} == 0)); then
        return
    fi
    if ! command -v apt-get >/dev/null; then
        echo "missing: ${packages[*]}; without apt-get they have to be installed by hand"
        return 1
    fi
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            echo "missing: ${packages[*]}; install them as root, or run this as root or with sudo in the PATH"
            return 1
        fi
        as_root=(sudo -n)
    fi
    # Another run may be at it.
    "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update ||
        { sleep 20 && "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update; }
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${packages[@]}"
}

install_python_packages() {
    python3 -m venv "$work/venv"
    # What is imported is compiled then, and not all that comes along.
    "$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
        --requirement tests/e2e/requirements.txt --requirement benches/requirements.txt
}

# install_cargo_tool NAME VERSION: into a folder of its own beside cargo's, so that the next run has it.
install_cargo_tool() {
    command -v "$1" >/dev/null ||
        CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
            CARGO_TARGET_DIR=$work/$1 cargo install "$1@$2" --locked --root "$tools"
}

deny() {
    cargo deny --all-features check bans licenses sources
}

# Every target for some seconds, two at a time; fuzz/Cargo.toml says why it is built so. What is found is left in
# target/fuzz/found, and belongs into fuzz/corpus once it is mended.
fuzz() {
    cargo +nightly fuzz build --dev --sanitizer none --target-dir "$target/fuzz"
    mkdir -p "$target/fuzz/found"
    export fuzzers=$target/fuzz/$(rustc -vV | sed -n 's/^host: //p')/debug found=$target/fuzz/found grown=$work/grown
    find fuzz/fuzz_targets -name '*.rs' -printf '%f\n' | sort | sed 's/\.rs$//' | xargs -P 2 -I TARGET bash -c '
        mkdir -p "$grown/TARGET"
        case TARGET in
        strategy | config | exposition) words=TARGET ;;
        gateway_answer | retry_after) words=http ;;
        selector) words=strategy ;;
        *) words=json ;;
        esac
        if "$fuzzers/TARGET" "$grown/TARGET" "fuzz/corpus/TARGET" "-dict=fuzz/dictionaries/$words.dict" \
            -max_total_time=8 -rss_limit_mb=512 -timeout=10 -max_len=8192 "-artifact_prefix=$found/TARGET-" \
            >"$grown/TARGET.log" 2>&1; then
            echo "TARGET: $(tail -n 1 "$grown/TARGET.log")"
        else
            tail -n 40 "$grown/TARGET.log"
            exit 1
        fi'
}

# The program for the image takes the place of what the checks run for a moment, so it is linked before they begin.
link_statically() {
    cargo rustc --locked --bin mutation-agent -- -C target-feature=+crt-static
    cp "$MUTATION_AGENT" "$SHARED/mutation-agent-static"
}

# build CHECK...: what these checks run.
build() {
    [[ " $* " != *' e2e/kubernetes '* ]] || check 'static link' link_statically
    check 'cargo build' cargo build
}

document() {
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --all-features
}

# Two at a time: most of them wait for something most of the time.
run_checks() {
    for name in "$@"; do
        ((${#running[@]} < 2)) || finish_one
        local folder=$work
        [[ $name != faults/* ]] || folder=$memory
        local command=("$work/venv/bin/python" "tests/$name.py")
        [[ $name != benches ]] || command=(VENV="$work/venv" benches/run.sh --brief)
        begin "$name" "${listening[@]}" TMPDIR="$folder" "${command[@]}"
    done
    finish_all
}

check 'programs' install_programs
# They are needed by the scripts alone, and come while the first builds wait for one another.
begin 'python packages' install_python_packages
if (($# > 0)); then
    build "$@"
    check 'cargo-deb' install_cargo_tool cargo-deb 3.8.0
    finish_all
    run_checks "$@"
else
    check 'cargo fmt' cargo fmt --check
    check 'cargo clippy' cargo clippy --all-targets --all-features -- -D warnings
    check 'cargo doc' document
    check 'cargo-deny' install_cargo_tool cargo-deny 0.20.2
    check 'cargo-deb' install_cargo_tool cargo-deb 3.8.0
    check 'cargo deny' deny
    # More threads than cores: most of the tests wait for programs that they started.
    check 'cargo test' "${listening[@]}" TMPDIR="$memory" RUST_TEST_THREADS=$((2 * $(nproc))) cargo test --all-features
    if cargo +nightly --version >/dev/null 2>&1; then
        check 'cargo-fuzz' install_cargo_tool cargo-fuzz 0.13.2
        check 'fuzz' fuzz
    else
        echo 'note          -    fuzz: not run, for there is no nightly compiler; cargo test has replayed its corpus'
    fi
    build "${checks[@]}"
    finish_all
    run_checks "${checks[@]}"
fi

printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))

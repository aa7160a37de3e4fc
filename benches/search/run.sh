#!/bin/sh
# Ours beside DEAP and nevergrad at the same number of evaluations; prints the table of docs/SEARCH.md.
set -eu
cd "$(dirname "$0")/../.."
cargo build --quiet --release --example search_benchmark
environment=target/search-benchmark
[ -d "$environment" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet -r benches/search/requirements.txt
exec "$environment/bin/python" benches/search/compare.py target/release/examples/search_benchmark

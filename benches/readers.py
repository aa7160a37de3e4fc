#!/usr/bin/env python3
"""The figures of `stats` over an audit log by a library of Python, each in the way that is its fastest in a bounded memory.

    readers.py duckdb|polars|pandas LOG

Prints seconds (without the import), the peak of resident memory and the figures as one object of JSON. Only the two
fields that are asked for are decoded where the library can leave out the others; DuckDB and polars use every core.
"""

import json
import re
import sys
import time


def by_duckdb(log):
    """One query; types are given, so that nothing is read twice, and percentiles share one sort."""
    *found, percentiles = duckdb.sql(f"""
        SELECT count(*), count(*) FILTER (success), avg(duration_ms), min(duration_ms), max(duration_ms),
               quantile_disc(duration_ms, [0.5, 0.95, 0.99])
        FROM read_json('{log}', format = 'newline_delimited', columns = {{success: 'BOOLEAN', duration_ms: 'DOUBLE'}})
    """).fetchall()[0]
    return dict(zip(FIGURES, [*found, *percentiles]))


def by_polars(log):
    """The same, lazily, with the streaming engine."""
    at = lambda share: polars.col("duration_ms").quantile(share, "nearest").alias(f"p{share * 100:.0f}")
    duration = polars.col("duration_ms")
    schema = {"success": polars.Boolean, "duration_ms": polars.Float64}
    return polars.scan_ndjson(log, schema=schema).select(
        polars.len().alias("total"), polars.col("success").sum().alias("successes"), duration.mean().alias("average"),
        duration.min().alias("min"), duration.max().alias("max"), at(0.5), at(0.95), at(0.99),
    ).collect(engine="streaming").to_dicts()[0]


def by_pandas(log):
    """By its own parser and in chunks: all of it at once takes tens of gigabytes, and pyarrow's parser takes no chunks."""
    durations, total, successes = [], 0, 0
    for chunk in pandas.read_json(log, lines=True, chunksize=100_000, convert_dates=False, precise_float=True):
        total += len(chunk)
        successes += int(chunk["success"].sum())
        durations.append(chunk["duration_ms"])
    durations = pandas.concat(durations)
    at = durations.quantile([0.5, 0.95, 0.99], interpolation="nearest").tolist()
    found = total, successes, durations.mean(), durations.min(), durations.max(), *at
    return dict(zip(FIGURES, map(float, found)))


FIGURES = ("total", "successes", "average", "min", "max", "p50", "p95", "p99")
library, path = sys.argv[1:]
match library:
    case "duckdb":
        import duckdb
        read = by_duckdb
    case "polars":
        import polars
        read = by_polars
    case "pandas":
        import pandas
        read = by_pandas
start = time.perf_counter()
figures = read(path)
seconds = time.perf_counter() - start
# Not getrusage: its peak begins with what the program had that started us.
peak = int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status", encoding="ascii").read())[1]) * 1024
print(json.dumps({"seconds": seconds, "peak": peak, "figures": figures}))

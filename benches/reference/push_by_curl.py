#!/usr/bin/env python3
"""curl with keep-alive, as a rival of benches/push/rival.rs: all pushes of a turn are one process, and one connection.

    push_by_curl.py BASE_URL JOB INSTANCE FOLDER

The time is curl's own `time_total` of each transfer, so that its start is not counted; nor is the first transfer,
which connects.
"""

import json
import subprocess
import sys
from pathlib import Path

base, job, instance, folder = sys.argv[1:]
binary = Path(folder) / "body.protobuf"
body, kind = (
    (binary, "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
    if binary.exists() else (Path(folder) / "body.text", "text/plain; version=0.0.4")
)
url = f"{base.rstrip('/')}/metrics/job/{job}/instance/{instance}"
for line in sys.stdin:
    transfers = "".join(f'url = "{url}"\noutput = "/dev/null"\n' for _ in range(int(line) + 1))
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--request", "PUT", "--data-binary",
         f"@{body}", "--header", f"Content-Type: {kind}", "--write-out", "%{http_code} %{time_total}\\n", "--config", "-"],
        input=transfers, capture_output=True, text=True, check=True,
    )
    taken = []
    for transfer in done.stdout.splitlines():
        code, seconds = transfer.split()
        # A redirect is no failure to curl, and no push to us.
        assert code == "200", f"the gateway answered with {code}"
        taken.append(round(float(seconds) * 1e9))
    print(json.dumps(taken[1:]), flush=True)

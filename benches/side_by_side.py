#!/usr/bin/env python3
"""The agent beside others at the same work; prints a Markdown table for each section.

    side_by_side.py [--brief] [--write] [SECTION...]

`run.sh` installs and builds what this needs. --brief: small sizes, everything once; it sees that all rivals agree and
judges no time. --write: the tables go into docs/PERFORMANCE.md, those of `scale` into docs/SCALE.md, with the machine
and the versions.
"""

import argparse
import datetime
import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from measuring import BINARY, ROOT, temporary_folder

SECTIONS = ("writing", "overhead", "memory", "starting", "pushing", "reading", "evaluating", "sealing", "scale")
PAGE = "docs/PERFORMANCE.md"
# What is said of a program: its name, and how it is asked.
PROGRAMS = {
    "rustc": ["rustc", "--version"], "Python": [sys.executable, "--version"], "jq": ["jq", "--version"],
    "zstd": ["zstd", "--version"], "curl": ["curl", "--version"], "Go": ["go", "version"],
    "Pushgateway": ["prometheus-pushgateway", "--version"],
}
PACKAGES = ("duckdb", "libcst", "pandas", "polars", "prometheus-client")


def first_number(text):
    """The version in what a program says of itself."""
    return re.search(r"\d+\.\d+(\.\d+)?", text)[0]


def versions():
    """Of everything that takes part."""
    found = {name: metadata.version(name) for name in PACKAGES}
    for name, command in PROGRAMS.items():
        if shutil.which(command[0]):
            said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
            found[name] = first_number(said.stdout)
    return found


def machine():
    """Processor, cores, memory, kernel, file system."""
    said = lambda *command: subprocess.run(command, capture_output=True, text=True, check=True).stdout
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"{processor[1] if processor else platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        f"{memory:.0f} GiB", f"Linux {platform.release()}",
        f"{said('findmnt', '-n', '-o', 'FSTYPE', '-T', temporary_folder()).split()[-1]}",
    ]


def circumstances():
    """A paragraph: when, where, what, how."""
    revision = os.environ.get("REVISION", "a binary that was given")
    agent = first_number(subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True).stdout)
    listed = ", ".join(f"{name} {version}" for name, version in versions().items())
    return (
        f"{datetime.date.today()}, mutation-agent {agent} ({revision}), on {', '.join(machine())}; {listed}."
    )


def put(path, name, text):
    """Replaces what stands between a page's markers."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = path.read_text()
    assert page.count(begin) == page.count(end) == 1, f"{path} has no markers for {name}"
    before, rest = page.split(begin)
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}")


def main():
    """Runs the sections that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    asked = parser.parse_args()
    if asked.brief and asked.write:
        parser.error("what --brief measures says nothing that is worth keeping")
    unknown = set(asked.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    where = circumstances()
    print(where)
    if asked.brief:
        print("Small sizes, everything once: the figures mean nothing.")
    for name in asked.sections or SECTIONS:
        section = importlib.import_module(f"sections.{name}")
        folder = temporary_folder()
        # A section with a page of its own has several tables there, by the names of their markers.
        page = ROOT / getattr(section, "PAGE", PAGE)
        found = section.run(asked.brief, folder)
        tables = found if isinstance(found, dict) else {name: found}
        shutil.rmtree(folder)
        print(f"\n## {section.TITLE}", flush=True)
        for marker, table in tables.items():
            print(f"\n{table.markdown()}", flush=True)
            if asked.write:
                put(page, marker, f"{table.markdown()}\n\n`benches/run.sh {name}`: {where}")
    print(f"\n{len(asked.sections or SECTIONS)} sections, all rivals agree" if asked.brief else "")


if __name__ == "__main__":
    main()

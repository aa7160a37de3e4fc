#!/usr/bin/env python3
"""`report` in a real Chromium: at three widths, light and dark, on paper; no error, no request, no barrier axe-core finds.

With a folder as its argument it leaves the pictures there, to be looked at.
"""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from lib import ENVIRONMENT, Agent, Pushgateway, config, equal, read_log, temporary_folder, wait_for

WIDTHS = (360, 768, 1280)
LOUD = '<script>document.title = "taken over"</script><img src=http://127.0.0.1:9/x.png>"&'
pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else temporary_folder()


def some_nights():
    """An agent with an evaluator that fails now and then, a night that was killed, and one that is well."""
    gateway = Pushgateway()
    judge = temporary_folder() / "judge.py"
    judge.write_text(
        "import os, pathlib, re, sys\n"
        "text = pathlib.Path(sys.argv[1]).read_text()\n"
        "values = [float(v) for v in re.findall(r'= ([0-9.]+)$', text, re.MULTILINE)]\n"
        "number = os.environ['MUTATION_ID'][-2:]\n"
        "if number != '00' and number.endswith('7'):\n"
        f"    sys.exit('no prices for day ' + number + ' in /data/' + number + '.csv ' + {LOUD!r})\n"
        "print(sum(values))\n"
    )
    more = f'\n[evaluator]\ncommand = ["{sys.executable}", "{judge}", "{{candidate}}"]\n'
    agent = Agent(config(gateway.url, rounds=2, mutations=10) + more)
    for _ in range(3):
        agent("run")
    running = agent.start("run", "--rounds", 1000)
    wait_for("a journal", lambda: any(path.stat().st_size for path in agent.audit.glob("*.partial")))
    running.send_signal(signal.SIGKILL)
    running.wait()
    agent("run")
    return agent


def looked_at(page, path, width, scheme):
    """The page at a width, in a colour scheme: nothing sticks out, nothing fails; a picture of it."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(path.as_uri())
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    equal(f"pixels that stick out at {width}", wide, 0)
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    ink = page.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
    page.screenshot(path=pictures / f"{width}-{scheme}.png", full_page=True)
    return back, ink


agent = some_nights()
path = agent.folder / "report.html"
said = agent("report", "--output", path).stdout
assert said.startswith("Have a look at this night: "), said
records = [record for log in agent.batches() for record in read_log(log)]

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path="/usr/bin/chromium",
        args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"],
    )
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    asked, complaints = [], []
    context.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    colours = {(width, scheme): looked_at(page, path, width, scheme) for width in WIDTHS for scheme in ("light", "dark")}
    for (width, scheme), found in colours.items():
        equal(f"the same colours at every width, {scheme}", found, colours[WIDTHS[0], scheme])
    assert colours[360, "light"] != colours[360, "dark"], "dark is as light"
    assert page.title().startswith("Have a look"), page.title()

    # What it says is what the audit has, and what an evaluator said is text.
    text = page.inner_text("body")
    assert f"{len(records)} records in {len(agent.batches())} batches" in text, text[-900:]
    failed = [record for record in records if record["outcome"] == "evaluator_failed"]
    row = page.locator("section", has_text="By kind").locator("tbody tr").first.inner_text().split("\t")
    equal("errors of the commonest kind", int(row[0]), len(failed))
    assert LOUD.split(">")[0] in page.inner_text("body"), "the evaluator's words are not there as they are"
    for figure in page.locator("figure").all():
        assert figure.locator("svg").bounding_box()["width"] > 200, "a picture is not there"
        assert figure.locator("[role=img]").get_attribute("aria-label"), "a picture has no words"

    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        equal(f"barriers, {scheme}", [(one["id"], one["nodes"][0]["html"][:200]) for one in found.response["violations"]], [])
    page.emulate_media(media="print", color_scheme="dark")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    equal("paper", paper, "rgb(255, 255, 255)")
    page.pdf(path=pictures / "paper.pdf", format="A4", print_background=True)
    equal("what was asked for", set(asked), {path.as_uri()})
    equal("what the console says", complaints, [])

    # Without leave to bypass it, the policy of the page itself holds off what it does not need.
    strict = browser.new_context().new_page()
    strict.goto(path.as_uri())
    equal("the title", strict.title(), page.title())
    browser.close()

pages = subprocess.run(["pdfinfo", pictures / "paper.pdf"], capture_output=True, text=True, env=ENVIRONMENT, check=True)
paper = subprocess.run(["pdftotext", pictures / "paper.pdf", "-"], capture_output=True, text=True, env=ENVIRONMENT, check=True)
assert "@@ -" in paper.stdout, "a patch that is folded on a screen is not on paper"
sheets = int(re.search(r"Pages: +(\d+)", pages.stdout)[1])
assert 1 < sheets < 20, f"{sheets} sheets of paper"
print(f"{len(WIDTHS)} widths in 2 schemes, {sheets} sheets of paper: no request, no error, no barrier; {len(records)} records")

#!/usr/bin/env python3
"""Gateways that are away, killed, slow, late or of different fates: the newest totals arrive, and nothing older after them.

Something stands between the agent and each real Pushgateway, passes pushes on as a story wants it, and keeps what the
gateway shows after each. The stories run side by side; each waits for much and computes little.
"""

import concurrent.futures
import http.client
import http.server
import json
import threading
import time

from lib import Agent, Pushgateway, config, end, equal, free_port, holds_to, wait_for

QUICK = 'attempt_timeout = "1s"\ndeadline = "2s"\nretry = { initial = "100ms", max = "500ms", multiplier = 2.0 }'
TOTAL = "exit_mutations_total"


class Between:
    """A reverse proxy in front of a gateway. `fate(number)` says what becomes of the push of that number, from 0: the
    seconds after which it is passed on, how many other pushes the gateway takes before, or, as a string, the status
    that answers it instead."""

    def __init__(self, gateway, fate=lambda number: 0, port=0):
        self.gateway, self.fate = gateway, fate
        self.arrived = 0
        self.shown = []
        self.lock = threading.Lock()
        between = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                between.take(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, handler):
        """One push. Whether its client still waits makes no difference to it."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self.lock:
            number, self.arrived = self.arrived, self.arrived + 1
        fate = self.fate(number)
        if isinstance(fate, float):
            time.sleep(fate)
        elif isinstance(fate, int):
            wait_for("its moment", lambda: len(self.shown) >= fate, seconds=60)
        status = int(fate) if isinstance(fate, str) else self.pass_on(handler.path, handler.headers, body)
        try:
            handler.send_response(status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        except OSError:
            pass

    def pass_on(self, path, headers, body):
        """Hands a push to the gateway and keeps what that shows of it; its status, or 502 where it is away."""
        with self.lock:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=10)
                connection.request("PUT", path, body, {"Content-Type": headers["Content-Type"]})
                status = connection.getresponse().status
                connection.close()
                if status == 200:
                    self.shown.append(self.gateway.exposition())
                return status
            except OSError:
                return 502

    def values(self, name=TOTAL):
        """What the gateway showed after each push that it took."""
        return [shown.value(name) for shown in self.shown]

    def close(self):
        """Nobody listens any more."""
        self.server.shutdown()
        self.server.server_close()


def never_fell(between, name=TOTAL):
    """The gateway has never shown less than before."""
    values = between.values(name)
    equal(f"{name} over all pushes", values, sorted(values))


def state(agent):
    """What the agent remembers of its gateways."""
    return json.loads((agent.folder / "mutation-data/state.json").read_text())["gateways"]


def down_for_three_batches():
    """The next batch's first push, or `push`, brings the totals of all nights; there is nothing else to bring."""
    port = free_port()
    gateway = Pushgateway()
    agent = Agent(config(f"http://127.0.0.1:{port}", more=QUICK))
    for _ in range(3):
        agent("run", exits=75)
    between = Between(gateway, port=port)
    agent("run")
    equal("the first push has three nights", between.values()[0], 600)
    equal("the last has four", between.values()[-1], 800)
    never_fell(between)
    holds_to(gateway.exposition(), agent.records())
    between.close()

    for _ in range(3):
        agent("run", exits=75)
    between = Between(gateway, port=port)
    agent("push")
    equal("one push has all", between.values(), [1400])
    equal("nights", gateway.exposition().value("mutation_batches_total", status="completed"), 7)
    equal("nothing else comes", agent("push").stdout.count("has seen the newest totals"), 1)
    equal("nothing else came", between.arrived, 1)
    holds_to(gateway.exposition(), agent.records())
    between.close()


def killed_before_it_persisted():
    """A gateway that is killed forgets; the next batch tells it everything again."""
    gateway = Pushgateway()
    agent = Agent(config(gateway.url, more=QUICK))
    agent("run")
    gateway.kill()
    gateway = Pushgateway(port=gateway.port, folder=gateway.folder)
    equal("it has forgotten", gateway.exposition().all(TOTAL), [])
    agent("run")
    equal("it has both nights", gateway.exposition().value(TOTAL), 400)
    holds_to(gateway.exposition(), agent.records())
    gateway.kill()


def restarted_in_the_middle_of_a_batch():
    """A gateway that saves what it has, ends and comes back within a batch shows more and more, and all at the end."""
    gateway = Pushgateway()
    between = Between(gateway)
    often = 'interval = "1s"\nattempt_timeout = "1s"\ndeadline = "20s"'
    agent = Agent(config(between.url, rounds=100_000, mutations=1000, more=often) + "\n[audit]\nbuffer = 1000\n")
    batch = agent.start("run")
    wait_for("two pushes", lambda: len(between.shown) >= 2)
    gateway.process.terminate()
    gateway.process.wait()
    arrived = between.arrived
    wait_for("pushes in vain", lambda: between.arrived >= arrived + 1)
    between.gateway = gateway = Pushgateway(port=gateway.port, folder=gateway.folder)
    equal("it has kept what it had", gateway.exposition().value(TOTAL), between.values()[-1])
    taken = len(between.shown)
    wait_for("pushes again", lambda: len(between.shown) >= taken + 2)
    batch.terminate()
    batch.communicate(timeout=60)
    equal("the batch was interrupted by us", batch.returncode, 143)
    never_fell(between)
    shown = gateway.exposition()
    equal("all is there", shown.value(TOTAL), agent.manifest(agent.batches()[0])["records"])
    assert shown.value("mutation_push_attempts_total", result="failed") >= 1
    equal("it is over", shown.value("mutation_batch_in_progress"), 0)
    gateway.kill()


def slow_by_thirty_seconds():
    """Rounds do not wait for it. With ten seconds for an attempt it is undelivered, with forty it is delivered."""
    gateway = Pushgateway()
    between = Between(gateway, lambda _: 30.0)
    agent = Agent(config(between.url, more='deadline = "12s"'))
    began = time.monotonic()
    night = agent("run", exits=75)
    took = time.monotonic() - began
    assert "no answer within 10s" in night.stderr, night.stderr
    # The start's push may end, and then there is the deadline for the last.
    assert 12 < took < 30, f"{took:.1f} s"
    manifest = agent.manifest(agent.batches()[0])
    equal("the rounds were run", manifest["rounds_completed"], 5)
    equal("nothing is marked", state(agent)[between.url.removeprefix("http://")]["delivered"], None)
    agent.configure(config(between.url, more='attempt_timeout = "40s"\ndeadline = "60s"'))
    agent("push")
    wait_for("what is late", lambda: len(between.shown) == between.arrived, seconds=60)
    # Pushes that were given up have come in as well, each in its turn.
    never_fell(between)
    equal("it is over", gateway.exposition().value("mutation_batch_in_progress"), 0)
    holds_to(gateway.exposition(), agent.records())
    gateway.kill()


def late_by_less_than_we_wait():
    """A push that was given up arrives after the last one of the batch; that is sent once more, and wins."""
    gateway = Pushgateway()
    between = Between(gateway, lambda number: 1 if number == 0 else 0)
    agent = Agent(config(between.url, more='attempt_timeout = "3s"\ndeadline = "20s"'))
    night = agent("run")
    assert "the totals are sent once more" in night.stderr, night.stderr
    equal("the last, the late and the last again", between.values(), [200, 0, 200])
    equal("it is over", gateway.exposition().value("mutation_batch_in_progress"), 0)
    holds_to(gateway.exposition(), agent.records())
    gateway.kill()


def later_than_we_wait():
    """What arrives later still stands, until the next batch's first push."""
    gateway = Pushgateway()
    between = Between(gateway, lambda number: 2 if number == 0 else 0)
    agent = Agent(config(between.url, more='attempt_timeout = "3s"\ndeadline = "20s"'))
    agent("run")
    wait_for("what is late", lambda: len(between.shown) == 3)
    equal("the late one is last", between.values(), [200, 200, 0])
    agent("run")
    equal("the next batch puts it right", between.values()[3:], [200, 400])
    holds_to(gateway.exposition(), agent.records())
    gateway.kill()


def different_fates():
    """Each gateway has its own mark; `push` asks those alone that have not seen the newest totals."""
    gateways = {name: Pushgateway() for name in ("up", "refusing", "busy", "slow")}
    fates = {"up": 0, "refusing": "400", "busy": "503", "slow": 5.0}
    ways = {name: Between(gateways[name], lambda _, name=name: fates[name]) for name in gateways}
    ports = {name: f'[[gateway]]\nname = "{name}"\nurl = "{way.url}"\n' for name, way in ways.items()}
    port = free_port()
    down = f'[[gateway]]\nname = "down"\nurl = "http://127.0.0.1:{port}"\n'
    agent = Agent("".join(ports.values()) + down + config(more=QUICK))
    night = agent("run", exits=75)
    assert "delivered to 1 of 5 gateways" in night.stdout, night.stdout
    seen = {name: mark["delivered"] is not None for name, mark in state(agent).items()}
    equal("marks", seen, {"up": True, "refusing": False, "busy": False, "slow": False, "down": False})
    for name, words in {"refusing": "400 Bad Request", "busy": "503", "slow": "no answer", "down": "refused"}.items():
        assert words in state(agent)[name]["last_error"], state(agent)[name]
    holds_to(gateways["up"].exposition(), agent.records())

    fates.update(refusing=0, busy=0)
    arrived = ways["up"].arrived
    told = agent("push", exits=75).stdout
    for name, words in {
        "up": "has seen the newest totals", "refusing": "delivered", "busy": "delivered",
        "slow": "undelivered", "down": "undelivered",
    }.items():
        assert f"{name}: {words}" in told, told
    equal("pushes to the one that had them", ways["up"].arrived, arrived)
    # What it was sent in vain comes in first.
    wait_for("what is late", lambda: len(ways["slow"].shown) == ways["slow"].arrived)
    fates.update(slow=0)
    last = Between(gateways["up"], port=port)
    agent("push")
    equal("pushes to the one that had them", ways["up"].arrived, arrived)
    for name in ("refusing", "busy", "slow"):
        holds_to(gateways[name].exposition(), agent.records())
    equal("pushes to the one that came up", last.arrived, 1)
    for gateway in gateways.values():
        end(gateway.process)


STORIES = [
    slow_by_thirty_seconds, down_for_three_batches, killed_before_it_persisted, restarted_in_the_middle_of_a_batch,
    late_by_less_than_we_wait, later_than_we_wait, different_fates,
]
with concurrent.futures.ThreadPoolExecutor(len(STORIES)) as pool:
    told = {pool.submit(story): story.__name__ for story in STORIES}
    for done in concurrent.futures.as_completed(told):
        if done.exception():
            print(f"in {told[done]}:", flush=True)
        done.result()

print(f"{len(STORIES)} stories: down, killed, restarted, slow, late, too late, of different fates")

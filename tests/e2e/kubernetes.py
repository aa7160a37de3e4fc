#!/usr/bin/env python3
"""examples/kubernetes and packaging/Containerfile: manifests by Kubernetes' own schemas, and their pods as a node would run
them (node.py), beside a name server that knows the gateway as a cluster's does, and real Pushgateways."""

import atexit
import base64
import functools
import re
import shutil
import signal
import socket
import subprocess

import manifests
from clean_root import alone
from lib import ROOT, Pushgateway, end, equal, holds_to, is_log, read_log, temporary_folder, wait_for
from node import Image, LargerImage, NameServer, Node, first_process, run, static_binary

alone(network=True)

SERVICE = "pushgateway.monitoring.svc"
PASSWORD = "hunter2 é:+%"
# PASSWORD by bcrypt at its lowest cost.
USERS = "basic_auth_users:\n  mutation-agent: $2b$04$abcdefghijklmnopqrstuuhNMEOJfRJnpH3hmI0GHi/Px.llTWNUa\n"
ZONE = 'time_zone = "Europe/Berlin"'
AUTHORIZATION = {"Authorization": "Basic " + base64.b64encode(f"mutation-agent:{PASSWORD}".encode()).decode()}


def certificates():
    """An authority, and a gateway's certificate by it."""
    folder = temporary_folder()
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    (folder / "extension").write_text(f"subjectAltName=DNS:{SERVICE}")
    for words in (
        f"req -x509 {key} -days 2 -subj /CN=Authority -keyout ca.key -out ca.pem",
        f"req {key} -subj /CN=gateway -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extension -out server.pem",
    ):
        run("openssl", *words.split(), cwd=folder)
    return folder


def gateway(port, tls=""):
    """A Pushgateway with the password, and what it asks for."""
    file = temporary_folder() / "web.yml"
    file.write_text(tls + USERS)
    return Pushgateway(f"--web.config.file={file}", port=port)


class Bucket:
    """A store that rclone serves by WebDAV, as `store:` in its config; the bucket is that of object-store.yaml."""

    def __init__(self, port):
        self.port, self.folder = port, temporary_folder()
        self.bucket = self.folder / "mutation-agent"
        self.bucket.mkdir()
        (self.bucket / "begun").touch()
        self.config = f"[store]\ntype = webdav\nurl = http://127.0.0.1:{port}\nvendor = other\n"
        self.server = None
        self.open()

    def close(self):
        """Serves it no more."""
        if self.server:
            end(self.server)

    def open(self, *how):
        """Serves it, again if it did before; `--read-only` takes nothing."""
        self.close()
        self.server = subprocess.Popen(["rclone", "--config=", "serve", "webdav", f"--addr=127.0.0.1:{self.port}", *how,
                                        self.folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(end, self.server)
        wait_for("the bucket", lambda: socket.socket().connect_ex(("127.0.0.1", self.port)) == 0)


def records(folder):
    """All records of the batches in a data folder."""
    logs = sorted(path for path in (folder / "audit").iterdir() if is_log(path))
    return [record for log in logs for record in read_log(log)]


def groups(exposition):
    """The labels of all groups on a gateway."""
    return sorted(tuple(sorted(labels.items())) for labels, _ in exposition.all("push_time_seconds"))


keys = certificates()
image = Image(authority=(keys / "ca.pem").read_text())

# The manifests as text.
tried = manifests.follow_the_schemas()
for check in (
    manifests.refer_to_what_there_is, manifests.mount_what_is_written_and_read, manifests.give_time_to_stop,
    manifests.start_at_a_time_that_comes, manifests.try_again_only_what_may_help, manifests.name_their_shards,
):
    check()
manifests.are_fenced_in(image.user)

# The image.
equal("files", image.files(), ["etc/ssl/certs/ca-certificates.crt", "usr/bin/mutation-agent"])
told = subprocess.run(["ldd", static_binary()], capture_output=True, text=True, check=False)
assert "statically linked" in told.stdout, told
equal("arguments", image.arguments, manifests.named("CronJob", "mutation-agent")["spec"]["jobTemplate"]["spec"]
      ["template"]["spec"]["containers"][0]["args"])
# What its first stage copies is all that cargo asks for.
stage = temporary_folder()
for line in (ROOT / "packaging/Containerfile").read_text().splitlines():
    if line.startswith("COPY ") and "--from" not in line:
        *sources, to = line.split()[1:]
        for source in map(ROOT.joinpath, sources):
            shutil.copytree(source, stage / to) if source.is_dir() else shutil.copy(source, stage / to)
run("cargo", "metadata", "--offline", "--no-deps", "--locked", "--format-version=1", cwd=stage)

# The pods.
names = NameServer(SERVICE)
plain = gateway(9091)
by_hand = manifests.made_by_hand()
bucket = Bucket(8080)
for secret, text in (("mutation-agent", f"{PASSWORD}\n"), ("mutation-agent-store", bucket.config)):
    [name] = by_hand["Secret", secret]
    by_hand["Secret", secret] = {name: text}
larger_image = LargerImage(image)
node = Node(image, by_hand)
pods = dict(manifests.pods())
pod = pods["CronJob mutation-agent"]
data = node.claim("mutation-agent") / "data"


def a_night_is_a_pod():
    """Two nights in two pods: one group, and what it shows is what the volume has."""
    for host in (SERVICE, "localhost"):
        node(pod, "check", "--gateway", changes=lambda text, host=host: text.replace(f"http://{SERVICE}", f"http://{host}"))
    for night in (1, 2):
        node(pod)
        shown = plain.exposition(headers=AUTHORIZATION)
        equal("groups", groups(shown), [(("instance", "mutation-agent"), ("job", "exit_evolution"))])
        holds_to(shown, records(data), job="exit_evolution")
        equal("batches", shown.value("mutation_batches_total", status="completed"), night)
    assert f"{SERVICE}.default.svc.cluster.local" in names.asked and f"{SERVICE}.cluster.local" in names.asked, names.asked


def an_evaluator_needs_an_image_that_can_run_it():
    """Python in a pod whose root cannot be written and that has no /tmp of its own, one process per candidate."""
    node = Node(larger_image, by_hand)
    evaluator = '[evaluator]\ncommand = ["python3", "/opt/evaluator/backtest.py", "{candidate}"]'
    few = "[batch]\nrounds = 1\nmutations_per_round = 8"
    node(pod, changes=lambda text: text.replace("[strategies]", f"{evaluator}\n[strategies]").replace("[batch]", few))
    judged = records(node.claim("mutation-agent") / "data")
    assert len(judged) == 8 and all(record["fitness"] is not None for record in judged), judged


def an_indexed_job_is_one_night():
    """A pod for each index, at once on one volume: together what one agent would have tried, each in a group of its own."""
    job = manifests.named("CronJob", "mutation-agent-shards")["spec"]["jobTemplate"]["spec"]
    shards = [str(index) for index in range(job["completions"])]
    running = [node.start(job["template"]["spec"], environment={"JOB_COMPLETION_INDEX": shard}) for shard in shards]
    for one in running:
        errors = one.communicate(timeout=60)[1]
        equal(f"exit code of one that said {errors}", one.returncode, 0)
    shown = plain.exposition(headers=AUTHORIZATION)
    found = [dict(labels) for labels in groups(shown) if "shard" in dict(labels)]
    equal("groups", found, [{"instance": "mutation-agent", "job": "exit_evolution", "shard": shard} for shard in shards])
    parts = [records(node.claim("mutation-agent-shards") / f"data/shard-{shard}") for shard in shards]
    for shard, part in zip(shards, parts):
        holds_to(shown, part, shard=shard)
    equal("attempts", sorted(int(record["mutation_id"].rsplit("_", 1)[1]) for part in parts for record in part),
          list(range(1, 501)))


def a_pod_that_is_deleted_seals_and_pushes():
    """SIGTERM to process 1 of its namespace."""
    batch = node.start(pod, "run", "--rounds", "1000000")
    agent = first_process(batch)
    wait_for("the journal", lambda: any(path.stat().st_size for path in (data / "audit").glob("*.jsonl.partial")))
    subprocess.run(["kill", "-TERM", str(agent)], check=True)
    errors = batch.communicate(timeout=60)[1]
    equal("exit code", batch.returncode, 128 + signal.SIGTERM)
    assert "interrupted" in errors or not list((data / "audit").glob("*.partial")), errors
    shown = plain.exposition(headers=AUTHORIZATION)
    equal("interrupted", shown.value("mutation_batches_total", status="interrupted", instance="mutation-agent"), 1)
    holds_to(shown, records(data), instance="mutation-agent")


def scheduler():
    """A deployment whose schedule is each minute's beginning; on a node of its own, with a volume of its own."""
    node = Node(image, by_hand)
    changes = {'cron = "0 2 * * *"': 'cron = "* * * * *"', 'instance = "mutation-agent"': 'instance = "deployment"'}
    pod = pods["Deployment mutation-agent"]
    process = node.start(pod, changes=lambda text: functools.reduce(lambda old, by: old.replace(*by), changes.items(), text))
    told = node(pod, "schedule", "next", "-n", "1", changes=lambda text: text.replace("[schedule]", f"[schedule]\n{ZONE}"))
    assert re.search(r"02:00:00\+0[12]:00", told), told
    return node.claim("mutation-agent") / "data", process


def a_deployment_waits_and_starts_batches(data, process):
    """The first one comes within a minute; SIGTERM to process 1 ends it."""
    group = {"instance": "deployment"}
    wait_for("its batch", lambda: plain.exposition(headers=AUTHORIZATION).all(
        "mutation_batches_total", status="completed", **group), seconds=90)
    subprocess.run(["kill", "-TERM", str(first_process(process))], check=True)
    errors = process.communicate(timeout=60)[1]
    equal(f"exit code after {errors}", process.returncode, 0)
    holds_to(plain.exposition(headers=AUTHORIZATION), records(data), **group)


def a_volume_that_others_can_write_to_is_refused():
    """By the default fsGroupChangePolicy, and where the volume is everybody's."""
    told = node(pod, exits=77, policy="Always")
    assert "can be written by others" in told, told
    node.claims.clear()
    node.claim("mutation-agent").chmod(0o777)
    told = node(pod, exits=77)
    assert "can be swapped by anybody" in told, told


def an_authority_of_the_store_is_trusted():
    """HTTPS without `tls`."""
    tls = f"tls_server_config:\n  cert_file: {keys}/server.pem\n  key_file: {keys}/server.key\n"
    gateway(9443, tls)
    told = node(pod, "check", "--gateway", changes=lambda text: text.replace(f"http://{SERVICE}:9091", f"https://{SERVICE}:9443"))
    assert f"https://{SERVICE}:9443" in told, told


def a_bucket_takes_the_place_of_a_volume():
    """What is pushed has been saved; a night that cannot be saved is gone with its pod, and nobody was told of it."""
    node = Node(larger_image, by_hand)
    kept, group = bucket.bucket / "data", {"instance": "mutation-agent-store"}

    def night(exits=0):
        # One try will do where it is in vain.
        tries = {"RCLONE_RETRIES": "1", "RCLONE_LOW_LEVEL_RETRIES": "1"} if exits else {}
        # Each file is a request, so few candidates are kept.
        node(pods["CronJob mutation-agent-store"], exits=exits, environment=tries,
             changes=lambda text: text.replace("[output]\n", "[output]\nkeep = 1\n"))
        shown = plain.exposition(headers=AUTHORIZATION)
        holds_to(shown, records(kept), **group)
        return shown, shown.value("mutation_batches_total", status="completed", **group)

    equal("batches", [night()[1], night()[1]], [1, 2])
    state = (kept / "state.json").read_bytes()
    before = night()
    for unusable in (bucket.close, lambda: bucket.open("--read-only")):
        unusable()
        after = night(exits=74)
        equal("what is shown, and since when", after[0].all("push_time_seconds", **group),
              before[0].all("push_time_seconds", **group))
    # As if only the logs of the last night had arrived.
    (kept / "state.json").write_bytes(state)
    bucket.open()
    equal("batches", night()[1], 4)
    bucket.close()
    (bucket.bucket / "begun").unlink()
    bucket.open()
    night(exits=74)


waiting = scheduler()
a_night_is_a_pod()
a_bucket_takes_the_place_of_a_volume()
a_pod_that_is_deleted_seals_and_pushes()
an_authority_of_the_store_is_trusted()
an_indexed_job_is_one_night()
an_evaluator_needs_an_image_that_can_run_it()
a_volume_that_others_can_write_to_is_refused()
a_deployment_waits_and_starts_batches(*waiting)

print(f"{len(manifests.documents())} manifests, {tried} misspellings refused by the schemas of {manifests.VERSION}; static image; "
      f"nights in pods, in one of each shard, with a bucket for a volume, deleted, over TLS, on volumes that are refused")

"""What examples/kubernetes says, held to Kubernetes' own schemas and to what those do not see."""

import copy
import functools
import re
import tomllib
import zoneinfo

import kubernetes_validate
import yaml

from lib import ROOT, equal

FOLDER = ROOT / "examples/kubernetes"
VERSION = kubernetes_validate.latest_version()
# Below these, keys are anybody's.
FREE = {"data", "labels", "matchLabels", "requests", "limits"}
RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]


@functools.cache
def documents():
    """Every manifest with the name of its file."""
    return [(path.name, document) for path in sorted(FOLDER.glob("*.yaml"))
            for document in yaml.safe_load_all(path.read_text())]


def named(kind, name):
    """The one manifest of that kind and name."""
    [found] = [document for _, document in documents()
               if (document["kind"], document["metadata"]["name"]) == (kind, name)]
    return found


def refused(document):
    """Whether the schemas refuse it, as `kubernetes-validate --strict` does."""
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError, KeyError):
        return True
    return False


def fields(node, path=()):
    """The paths of all fields that a schema knows."""
    if isinstance(node, list):
        for index, one in enumerate(node):
            yield from fields(one, (*path, index))
    elif isinstance(node, dict):
        for key, one in node.items():
            if path and path[-1] in FREE:
                continue
            yield (*path, key)
            yield from fields(one, (*path, key))


def misspelt(document, path):
    """The same with a letter too many in one field."""
    changed = copy.deepcopy(document)
    node = changed
    for step in path[:-1]:
        node = node[step]
    node[f"{path[-1]}s"] = node.pop(path[-1])
    return changed


def follow_the_schemas():
    """Each manifest passes, and with any of its fields misspelt it does not. How many were tried comes back."""
    tried = 0
    for file, document in documents():
        assert not refused(document), file
        for path in fields(document):
            assert refused(misspelt(document, path)), f"{file}: {path} may be misspelt"
            tried += 1
    return tried


def jobs():
    """The CronJobs."""
    return [document for _, document in documents() if document["kind"] == "CronJob"]


def pods():
    """The pods that come of it all, by the manifest's kind and name."""
    for _, document in documents():
        spec = document.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield f"{document['kind']} {document['metadata']['name']}", spec["template"]["spec"]


def settings(pod):
    """The agent.toml that it reads."""
    [config] = [volume["configMap"]["name"] for volume in pod["volumes"] if volume["name"] == "config"]
    return tomllib.loads(named("ConfigMap", config)["data"]["agent.toml"])


def seconds(text):
    """A duration as agent.toml writes it."""
    number, unit = re.fullmatch(r"(\d+)(s|m|h)", text).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def made_by_hand():
    """What the README creates beside the manifests: the files' names and texts by (kind, name), of a Secret only the names."""
    readme = (FOLDER / "README.md").read_text()
    made = {}
    for kind, name, source in re.findall(
        r"^kubectl create (secret generic|configmap) (\S+) --from-file=(\S+)$", readme, re.MULTILINE
    ):
        if kind == "configmap":
            made["ConfigMap", name] = {path.name: path.read_text() for path in (FOLDER / source).glob("*.py")}
        else:
            made["Secret", name] = {source.split("=")[0]: None}
    return made


def refer_to_what_there_is():
    """Volumes, and where they are mounted."""
    there = {(document["kind"], document["metadata"]["name"]) for _, document in documents()} | made_by_hand().keys()
    for who, pod in pods():
        for volume in pod["volumes"]:
            for kind, key, field in (
                ("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName"),
                ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName"),
            ):
                if key in volume:
                    assert (kind, volume[key][field]) in there, f"{who}: {kind} {volume[key][field]}"
        [container] = pod["containers"]
        mounted = [mount["name"] for mount in container["volumeMounts"]]
        equal(f"{who}: volumes mounted", sorted(mounted), sorted(volume["name"] for volume in pod["volumes"]))


def mount_what_is_written_and_read():
    """Each path of the config lies below a mount, which is read-only where it is only read."""
    for who, pod in pods():
        [container] = pod["containers"]
        config = settings(pod)
        mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
        environment = {one["name"]: one["value"] for one in container["env"]}

        def read_only(path, who=who, mounts=mounts):
            above = [mount for mount in mounts if path.startswith(f"{mount}/")]
            assert above, f"{who}: nothing is mounted above {path}"
            return mounts[max(above, key=len)]

        for path in (config["data_dir"], config["output"]["dir"]):
            assert not read_only(path), f"{who}: {path} is read-only"
        for path in (*config["strategies"]["include"], environment["CREDENTIALS_DIRECTORY"] + "/any",
                     "/etc/mutation-agent/agent.toml"):
            assert read_only(path), f"{who}: {path} may be written"


def give_time_to_stop():
    """A pod's grace is longer than what the agent takes, a job's deadline longer than a batch with its push."""
    for who, pod in pods():
        batch = settings(pod)["batch"]
        assert pod["terminationGracePeriodSeconds"] > seconds(batch["shutdown_timeout"]) + 10, who
    for job in jobs():
        spec = job["spec"]["jobTemplate"]["spec"]
        batch = settings(spec["template"]["spec"])["batch"]
        assert spec["activeDeadlineSeconds"] > seconds(batch["deadline"]) + 600, job["metadata"]["name"]


def are_fenced_in(image_user):
    """No root, no token, no capability, nothing of the image to write to; the user is the image's."""
    for who, pod in pods():
        [container] = pod["containers"]
        equal(f"{who}: token", pod["automountServiceAccountToken"], False)
        context = pod["securityContext"]
        equal(f"{who}: user", f"{context['runAsUser']}:{context['runAsGroup']}", image_user)
        equal(f"{who}: fence", (context["runAsNonRoot"], context["seccompProfile"]), (True, {"type": "RuntimeDefault"}))
        equal(f"{who}: volumes", (context["fsGroup"], context["fsGroupChangePolicy"]),
              (context["runAsGroup"], "OnRootMismatch"))
        equal(f"{who}: container", container["securityContext"], {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}})
        assert "memory" in container["resources"]["limits"], who


def is_cron(expression):
    """Whether Kubernetes takes it: five fields of numbers, ranges, lists and steps."""
    parts = expression.split()
    if len(parts) != len(RANGES):
        return False
    for part, (least, most) in zip(parts, RANGES):
        for one in part.split(","):
            form = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", one)
            if not form or not all(least <= int(bound) <= most for bound in form.groups()[:2] if bound):
                return False
    return True


def start_at_a_time_that_comes():
    """Cron expression and zone; one start at a time."""
    assert is_cron("*/5 0-6 1,15 * 7") and not is_cron("0 24 * * *") and not is_cron("0 2 * *") and not is_cron("0 2 * * x")
    for job in jobs():
        spec = job["spec"]
        assert is_cron(spec["schedule"]), spec["schedule"]
        assert spec["timeZone"] in zoneinfo.available_timezones(), spec["timeZone"]
        equal("concurrencyPolicy", spec["concurrencyPolicy"], "Forbid")


def codes_of_the_agent():
    """Exit codes by which the agent itself says that something is wrong, or that it could not deliver."""
    table = (ROOT / "src/exit.rs").read_text()
    return {int(code) for code in re.findall(r"^    \w+ = (\d+),", table, re.MULTILINE)}


def try_again_only_what_may_help():
    """Of the agent's own codes none is retried but those of a signal; who lost its node gets another pod, whatever its code."""
    final = {code for code in codes_of_the_agent() if 0 < code < 128}
    for job in jobs():
        spec = job["spec"]["jobTemplate"]["spec"]
        [container] = spec["template"]["spec"]["containers"]
        first, second = spec["podFailurePolicy"]["rules"]
        equal("the first rule", first, {
            "action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]})
        indexed = "completionMode" in spec
        equal("the second rule", (second["action"], second["onExitCodes"]["operator"]),
              ("FailIndex" if indexed else "FailJob", "In"))
        equal("its codes", (set(second["onExitCodes"]["values"]), second["onExitCodes"]["containerName"]),
              (final, container["name"]))
        equal("restarts in place", spec["template"]["spec"]["restartPolicy"], "Never")
        assert ("backoffLimitPerIndex" if indexed else "backoffLimit") in spec, job["metadata"]["name"]


def name_their_shards():
    """As many indexes as shards, and the mode that numbers them; the schemas take any word for a mode."""
    found = [job["spec"]["jobTemplate"]["spec"] for job in jobs()
             if "completionMode" in job["spec"]["jobTemplate"]["spec"]]
    [spec] = found
    [container] = spec["template"]["spec"]["containers"]
    arguments = container["args"]
    equal("completionMode", spec["completionMode"], "Indexed")
    shards = int(arguments[arguments.index("--shards") + 1])
    equal("completions and parallelism", (spec["completions"], spec["parallelism"]), (shards, shards))

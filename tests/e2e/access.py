#!/usr/bin/env python3
"""The way to a guarded gateway, as agent.toml describes it: a path prefix, a password, TLS, a client certificate."""

import base64
import ssl
import subprocess
import urllib.error

from lib import Agent, Pushgateway, config, equal, holds_to, temporary_folder, wait_for

PASSWORD = "hunter2 é:+%"
# PASSWORD by bcrypt at its lowest cost.
USERS = "basic_auth_users:\n  night: $2b$04$abcdefghijklmnopqrstuuhNMEOJfRJnpH3hmI0GHi/Px.llTWNUa\n"


class Certificates:
    """An authority, a server on 127.0.0.1 and a client, made by openssl."""

    def __init__(self):
        self.folder = temporary_folder()
        self._openssl("req -x509 {key} -days 2 -subj /CN=Authority -keyout ca.key -out ca.pem")
        self._sign("server", "subjectAltName=IP:127.0.0.1")
        self._sign("client", "extendedKeyUsage=clientAuth")

    def _sign(self, name, extension):
        (self.folder / "extension").write_text(extension)
        self._openssl(f"req {{key}} -subj /CN={name} -keyout {name}.key -out {name}.csr")
        self._openssl(
            f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
            f" -extfile extension -out {name}.pem"
        )

    def _openssl(self, arguments):
        key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        subprocess.run(
            ["openssl", *arguments.format(key=key).split()], cwd=self.folder, check=True, capture_output=True
        )

    def web_config(self, more=""):
        """The gateway's argument for TLS with the server's certificate."""
        path = self.folder / "web.yml"
        path.write_text(
            f"tls_server_config:\n  cert_file: {self.folder}/server.pem\n  key_file: {self.folder}/server.key\n{more}"
        )
        return f"--web.config.file={path}"


def night(gateway_lines, url, exits=0, checks=None):
    """An agent whose gateway table has further lines, after one batch and a check."""
    text = config(url, rounds=2, more='attempt_timeout = "5s"\ndeadline = "20s"')
    agent = Agent(text.replace("grouping =", f"{gateway_lines}\n        grouping ="))
    agent.log = agent("run", exits=exits).stderr
    agent.check = agent("check", "--gateway", exits=exits if checks is None else checks).stdout
    return agent


def refused(agent, *words):
    """The undelivered batch says why, in one attempt, and stands."""
    for word in words:
        assert word in agent.log, f"{word!r} is not in\n{agent.log}"
    equal("attempts to push again", agent.log.count("push retry"), 0)
    equal("the batch stands", agent.manifest(agent.batches()[0])["status"], "completed")


# A path prefix is kept; without it the answer is 404, and the message has the cause.
gateway = Pushgateway("--web.route-prefix=/pgw")
agent = night("", f"{gateway.url}/pgw")
holds_to(gateway.exposition(f"{gateway.url}/pgw"), agent.records())
forgotten = night("", gateway.url, exits=75, checks=75)
refused(forgotten, "404", "path prefix")
assert "404" in forgotten.check, forgotten.check

# A password from a file, which never shows.
secrets = temporary_folder()
(secrets / "password").write_text(f"{PASSWORD}\n")
(secrets / "wrong").write_text("wrong-password\n")
for path in secrets.iterdir():
    path.chmod(0o600)
(secrets / "web.yml").write_text(USERS)
gateway = Pushgateway(f"--web.config.file={secrets / 'web.yml'}")
agent = night(f'basic = {{ user = "night", password_file = "{secrets}/password" }}', gateway.url)
token = base64.b64encode(f"night:{PASSWORD}".encode()).decode()
holds_to(gateway.exposition(headers={"Authorization": f"Basic {token}"}), agent.records())
everything = agent.log + agent.check + "".join(
    path.read_text() for path in agent.audit.glob("*.json*") if path.suffix != ".zst"
) + (agent.folder / "mutation-data/state.json").read_text()
assert "hunter2" not in everything and token not in everything, "the password shows"
stranger = night(f'basic = {{ user = "night", password_file = "{secrets}/wrong" }}', gateway.url, exits=75)
refused(stranger, "401")
assert "wrong-password" not in stranger.log + stranger.check, "the password shows"
refused(night("", gateway.url, exits=75), "401")

# TLS with our own authority; another one is told and not tried again.
ours, other = Certificates(), Certificates()
gateway = Pushgateway(ours.web_config())
url = gateway.url.replace("http:", "https:")
agent = night(f'tls = {{ ca_file = "{ours.folder}/ca.pem" }}', url)
trusting = ssl.create_default_context(cafile=str(ours.folder / "ca.pem"))
holds_to(gateway.exposition(url, context=trusting), agent.records())
refused(night(f'tls = {{ ca_file = "{other.folder}/ca.pem" }}', url, exits=75), "trusted authority")
refused(night("", url, exits=75), "trusted authority")
refused(night("", gateway.url, exits=75, checks=75), "https://")

# A client certificate.
gateway = Pushgateway(ours.web_config(
    f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {ours.folder}/ca.pem\n"
))
url = gateway.url.replace("http:", "https:")
pair = f'cert_file = "{ours.folder}/client.pem", key_file = "{ours.folder}/client.key"'
agent = night(f'tls = {{ ca_file = "{ours.folder}/ca.pem", {pair} }}', url)
try:
    gateway.exposition(url, context=trusting)
    raise AssertionError("the gateway does not ask for a certificate")
except (urllib.error.URLError, OSError):
    trusting.load_cert_chain(ours.folder / "client.pem", ours.folder / "client.key")
holds_to(gateway.exposition(url, context=trusting), agent.records())

print("prefix, password, TLS and client certificate open the gateway; what is wrong is told once and exits 75")

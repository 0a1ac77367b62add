"""Certificates of a short life are renewed while they are used: no request fails, nothing is started again.

SKIFF_CERTIFICATE_LIFE: their life in seconds (default 30); SKIFF_CERTIFICATE_TIME: for how long it is watched (default 45)."""
import json
import os
import signal
import socket
import ssl
import sys
import time

import pytest
from cluster import PROJECT, Cluster, pod

sys.path.insert(0, str(PROJECT / "bench"))
from client import Api  # noqa: E402

LIFE = int(os.environ.get("SKIFF_CERTIFICATE_LIFE", "30"))
TIME = int(os.environ.get("SKIFF_CERTIFICATE_TIME", "45"))


@pytest.fixture(scope="module")
def ageing():
    cluster = Cluster(["--certificate-life", f"{LIFE}s"])
    try:
        cluster.up().import_images()
        cluster.apply(pod("steady", "while true; do sleep 1; done")).ok()
        cluster.wait_ready("steady")
        yield cluster
    finally:
        cluster.reset()


def certificate_of(port):
    """What the port shows today, DER; unchecked, as only its change matters here."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secure:
        return secure.getpeercert(binary_form=True)


def test_every_certificate_is_renewed_and_no_request_fails(ageing):
    facts = json.loads(open(f"{ageing.root}/cluster.json").read())
    pids = {part: ageing.pid_of(part) for part in ("server", "agent", "containerd")}
    ports = {"server": facts["port"], "agent": facts["agentPort"]}
    seen = {part: set() for part in ports}
    admins, begun = set(), time.monotonic()
    while time.monotonic() - begun < TIME:
        # A new connection each time, with the administrator's certificate of today, through server and agent.
        config = ageing.kubectl("config view --raw -o json").ok().out
        admins.add(config)
        assert Api(config).call("GET", "/api/v1/namespaces/default/pods/steady")["status"]["phase"] == "Running"
        assert ageing.kubectl("exec steady -- echo here").ok().out == "here\n"
        for part, port in ports.items():
            seen[part].add(certificate_of(port))
        time.sleep(0.2)
    renewed = TIME // LIFE
    assert all(len(found) > renewed for found in (*seen.values(), admins)), ([len(found) for found in seen.values()], len(admins))
    assert {part: ageing.pid_of(part) for part in pids} == pids, ageing.logs()
    node = ageing.kubectl("get nodes -o json").json()["items"][0]
    assert [c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"] == ["True"]


def test_an_agent_started_again_goes_on_with_what_it_renewed(ageing):
    old = ageing.pid_of("agent")
    os.kill(old, signal.SIGKILL)
    ageing.eventually("another agent", lambda: ageing.pid_of("agent") != old)
    ageing.apply(pod("after", "sleep 1000")).ok()
    ageing.wait_ready("after")
    # What works in the agent's process under accounts of its own has today's certificates too.
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "folder"},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}
    ageing.apply(claim).ok()
    ageing.apply(pod("with-claim", "sleep 1000", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "folder"}}])).ok()
    ageing.wait_ready("with-claim")


def test_a_life_that_is_none_is_refused(tmp_path):
    for wrong in ("1s", "soon", "20000h"):
        outcome = Cluster(["--certificate-life", wrong], keep_root=str(tmp_path / "c")).skiff("up", "--certificate-life", wrong)
        assert outcome.fails().err.startswith("skiff: --certificate-life must be a duration of 10s to 8760h0m0s"), outcome.err

"""Hands-on 1 of the tutorial, word for word, with every kubectl of this machine."""
import signal
import subprocess
import time

import pytest
from cluster import PROJECT, kubectls, matches

MANIFESTS = PROJECT / "examples/hands-on-1"


@pytest.fixture(params=list(kubectls()), scope="module")
def kubectl(request, cluster):
    path = kubectls()[request.param]
    return lambda line, **more: cluster.kubectl(line, path=path, **more)


def test_counter(cluster, kubectl):
    manifest = MANIFESTS / "counter.yaml"
    assert "pod/counter created" in kubectl(f"create -f {manifest}").ok().out
    cluster.wait_ready("counter")
    shown = kubectl("get pods").ok().out.splitlines()
    assert shown[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert matches(r"^counter\s+1/1\s+Running\s+0\s+\d+s$", shown[1])

    cluster.eventually("two lines of log", lambda: kubectl("logs counter").ok().out.count("\n") >= 2)
    assert matches(r"\A0: \w+ \w+ +\d+ [\d:]+ UTC \d+$", kubectl("logs counter").ok().out)
    assert len(kubectl("logs --tail=1 counter").ok().out.splitlines()) == 1
    assert len(kubectl("logs --tail=20 counter").ok().out.splitlines()) <= 20

    described = kubectl("describe pod/counter").ok().out
    for event in ("Scheduled", "(Pulled|ImportedImageUsed)", "Created", "Started"):
        assert matches(rf"^\s+Normal\s+{event}\s", described), described
    assert matches(r"^\s+State:\s+Running$", described)

    assert "deleted" in kubectl(f"delete -f {manifest} --grace-period=1").ok().out
    gone = kubectl("get pods").ok()
    assert "No resources found" in gone.err


def test_logs_follow(cluster, kubectl):
    manifest = MANIFESTS / "counter.yaml"
    kubectl(f"create -f {manifest}").ok()
    cluster.wait_ready("counter")
    path = [p for p in kubectls().values()][-1]
    following = subprocess.Popen(cluster.command("logs -f counter", path), stdout=subprocess.PIPE, text=True, env=cluster.environment())
    try:
        lines = [following.stdout.readline() for _ in range(4)]
    finally:
        following.send_signal(signal.SIGINT)
        following.wait(10)
    assert [line.split(":")[0] for line in lines] == ["0", "1", "2", "3"]
    kubectl(f"delete -f {manifest} --grace-period=1").ok()


def test_two_files_logging_counter(cluster, kubectl):
    manifest = MANIFESTS / "two-files-logging-counter.yaml"
    kubectl(f"create -f {manifest}").ok()
    name = "two-files-logging-counter"
    cluster.wait_ready(name)
    assert matches(rf"^{name}\s+3/3\s+Running\s+0", kubectl("get pods").ok().out)
    one = lambda: kubectl(f"logs {name} count-log-1").ok().out
    two = lambda: kubectl(f"logs {name} count-log-2").ok().out
    cluster.eventually("both streams", lambda: one() and two())
    assert matches(r"\A0: ", one()) and " INFO " not in one()
    assert matches(r" INFO 0$", two()) and not matches(r"^0: ", two())
    kubectl(f"delete -f {manifest} --grace-period=1").ok()
    started = time.monotonic()
    cluster.eventually("gone", lambda: "No resources" in kubectl("get pods").err)
    assert time.monotonic() - started < 30

"""The command line as users get it wrong, and the clients that are not kubectl."""
import json
import os
import signal
import subprocess
import tempfile
import time

import pytest
from cluster import SKIFF, Cluster


def skiff(*arguments):
    return subprocess.run([SKIFF, *arguments], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("verb", ["up", "status", "down", "reset", "kubeconfig", "server", "agent", "version"])
def test_words_and_flags_that_mean_nothing_are_refused(verb, tmp_path):
    assert "'extra' is not a flag" in skiff(verb, "extra", "--root", str(tmp_path)).stderr
    assert "there is no flag --rot" in skiff(verb, "--rot", str(tmp_path)).stderr
    told = skiff(verb, "--help")
    assert told.returncode == 0 and "--root DIR" in told.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_bad_node_name_is_refused_before_anything_starts(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("up needs root")
    refused = skiff("up", "--root", str(tmp_path), "--node-name", "Bad Name")
    assert refused.returncode == 1 and "--node-name" in refused.stderr


def test_an_interrupted_up_is_finished_by_the_next_and_reset_keeps_foreign_files():
    if os.geteuid() != 0:
        pytest.skip("up needs root")
    root = tempfile.mkdtemp(prefix="skiff-test-")
    cluster = Cluster(keep_root=root)
    mine = os.path.join(root, "mine")
    with open(mine, "w") as file:
        file.write("keep")
    try:
        begun = subprocess.Popen([SKIFF, "up", "--root", root], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 env=cluster.environment(), start_new_session=True)
        deadline = time.monotonic() + 10
        while not os.path.exists(f"{root}/run/supervisor.pid") and time.monotonic() < deadline:
            time.sleep(0.005)
        os.killpg(begun.pid, signal.SIGINT)
        begun.wait(10)
        cluster.up()
        assert "skiff-" in open(f"{cluster.home}/.kube/config").read()
    finally:
        cluster.skiff("reset")
    assert os.listdir(root) == ["mine"]
    os.unlink(mine)
    os.rmdir(root)


def test_a_dry_run_keeps_the_revision(cluster, namespace):
    cluster.kubectl(f"create configmap c -n {namespace} --from-literal=a=1").ok()
    stored = cluster.kubectl(f"get configmap c -n {namespace} -o json").json()
    patched = cluster.kubectl(["patch", "configmap", "c", "-n", namespace, "--dry-run=server", "-o", "json",
                               "-p", json.dumps({"data": {"a": "2"}})]).json()
    assert patched["data"] == {"a": "2"}
    assert patched["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]

"""kill -9 of any part, at seeded points: no acknowledged write lost, the same containers, watches go on.

SKIFF_KILLS: how many points (default 200); SKIFF_SEED: the first seed."""
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time

import pytest
from cluster import PROJECT, Cluster, pod

sys.path.insert(0, str(PROJECT / "bench"))
from client import Api  # noqa: E402

KILLS = int(os.environ.get("SKIFF_KILLS", "200"))
SEED = int(os.environ.get("SKIFF_SEED", "1"))
PARTS = ["supervisor", "server", "agent", "containerd"]


@pytest.fixture(scope="module")
def victim():
    cluster = Cluster()
    try:
        cluster.up().import_images()
        for number in range(3):
            cluster.apply(pod(f"steady-{number}", "while true; do sleep 1; done")).ok()
        for number in range(3):
            cluster.wait_ready(f"steady-{number}")
        yield cluster
    finally:
        cluster.reset()


def stored_by_writer(api):
    """Name to resourceVersion of all that the writer made and that is still there, in pages."""
    found, token = {}, ""
    while True:
        page = api.call("GET", f"/api/v1/namespaces/default/configmaps?labelSelector=by%3Dwriter&limit=500&continue={token}")
        found |= {item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in page["items"]}
        token = page["metadata"].get("continue", "")
        if not token:
            return found


class Writer(threading.Thread):
    """Creates config maps one after the other and notes which were acknowledged."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.api = Api(cluster.kubectl("config view --raw -o json").ok().out)
        self.acknowledged, self.number, self.ending = [], 0, False
        self.told_at = {}   # name: when it was acknowledged

    def run(self):
        while not self.ending:
            self.number += 1
            name = f"w-{self.number}"
            try:
                made = self.api.call("POST", "/api/v1/namespaces/default/configmaps",
                                     {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"by": "writer"}}})
                self.acknowledged.append((name, int(made["metadata"]["resourceVersion"])))
                self.told_at[name] = time.monotonic()
                time.sleep(0.01)   # a steady stream, not a flood: all of it is read back in the end
            except Exception:   # noqa: BLE001: the server is being killed: what it did not acknowledge may be lost
                self.api.connection.close()
                self.api.connection = self.api.connect()
                time.sleep(0.02)


def containers(cluster):
    shown = cluster.kubectl("get pods -o json").json()["items"]
    return {item["metadata"]["name"]: [(status["containerID"], status["restartCount"]) for status in item["status"].get("containerStatuses", [])]
            for item in shown if item["metadata"]["name"].startswith("steady-")}


def kill(cluster, part):
    try:
        os.kill(cluster.pid_of(part), signal.SIGKILL)
    except (ProcessLookupError, FileNotFoundError):
        pass


def test_nothing_is_lost_when_parts_are_killed(victim):
    cluster = victim
    before = containers(cluster)
    assert len(before) == 3
    writer = Writer(cluster)
    start = int(writer.api.call("GET", "/api/v1/namespaces/default/configmaps?limit=1")["metadata"]["resourceVersion"])
    writer.start()
    for number in range(KILLS):
        seed = SEED + number
        dice = random.Random(seed)
        victims = PARTS if dice.random() < 0.1 else [dice.choice(PARTS)]
        time.sleep(dice.uniform(0, 0.4))
        print(f"seed {seed}: kill -9 {', '.join(victims)}", flush=True)
        for part in victims:
            kill(cluster, part)
        if "supervisor" in victims:
            cluster.up()   # adopts what still runs
    cluster.eventually("the API answers", lambda: cluster.kubectl("get --raw /readyz").out == "ok")
    writer.ending = True
    writer.join(30)
    assert len(writer.acknowledged) > KILLS
    stored = stored_by_writer(writer.api)
    lost = [(name, revision) for name, revision in writer.acknowledged if stored.get(name) != revision]
    assert not lost, f"{len(lost)} of {len(writer.acknowledged)} acknowledged writes are lost or changed: {lost[:5]}"

    cluster.eventually("the node is Ready", lambda: "True" in cluster.kubectl(
        ["get", "nodes", "-o", 'jsonpath={.items[0].status.conditions[?(@.type=="Ready")].status}']).out)
    for name in before:
        cluster.wait_ready(name, 60)
    assert containers(cluster) == before

    # A watch from before all of it, or from the oldest revision that the window of 5 minutes still
    # holds for sure, goes on and tells every acknowledged write since then once, in order.
    edge = time.monotonic() - 240
    start = max([start, *(revision for name, revision in writer.acknowledged if writer.told_at[name] < edge)])
    seen, wanted = [], {name for name, revision in writer.acknowledged if revision > start}
    for kind, shown in writer.api.watch(f"/api/v1/namespaces/default/configmaps?watch=true&resourceVersion={start}&labelSelector=by%3Dwriter&timeoutSeconds=10"):
        assert kind == "ADDED", (kind, shown)
        seen.append((shown["metadata"]["name"], int(shown["metadata"]["resourceVersion"])))
        wanted.discard(shown["metadata"]["name"])
        if not wanted:
            break
    assert not wanted, f"the watch did not tell {sorted(wanted)[:5]}"
    revisions = [revision for _, revision in seen]
    assert revisions == sorted(set(revisions))


def test_the_cluster_still_works_afterwards(victim):
    victim.apply(pod("afterwards", "sleep 100")).ok()
    victim.wait_ready("afterwards", 60)
    assert victim.kubectl("exec afterwards -- echo fine").ok().out == "fine\n"

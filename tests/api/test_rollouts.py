"""The talk's parts under load: updates that no client notices, a canary, a bad image, a rolling update by hand, a node port.

The application is images/echo: it answers with its version and its host's name, and drains on SIGTERM."""
import collections
import http.client
import json
import os
import signal
import subprocess

import pytest
from load import Load


@pytest.fixture(scope="module", autouse=True)
def echo(cluster):
    cluster.import_images("echo")


@pytest.fixture
def kubectl(cluster, namespace):
    return lambda line, **more: cluster.kubectl(f"{line} -n {namespace}", **more)


def pod_template(labels, version):
    return {"metadata": {"labels": labels}, "spec": {"containers": [
        {"name": "echo", "image": f"skiff/echo:{version}", "ports": [{"containerPort": 8080}],
         "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}}]}}


def deployment(name, replicas, version, labels=None, **spec):
    labels = labels or {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod_template(labels, version), **spec}}


def service(name, selector, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": selector, "ports": [{"port": 80, "targetPort": 8080}], **spec}}


def create(kubectl, *manifests):
    kubectl("create -f -", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})).ok()


def rolled_out(kubectl, name):
    return kubectl(f"rollout status deployment/{name} --timeout=90s", timeout=120).ok().out


def address_of(kubectl, name):
    return kubectl(f"get service {name} -o jsonpath={{.spec.clusterIP}}").ok().out


def ask(host, port=80, path="/"):
    """The version that answered, or what went wrong."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().split(b" ")[0].decode()
    except OSError as problem:
        return repr(problem)
    finally:
        connection.close()


def answers(host, count):
    return collections.Counter(ask(host) for _ in range(count))


@pytest.fixture
def web(cluster, kubectl):
    """Three pods of version 1 behind a Service: its address."""
    create(kubectl, deployment("web", 3, 1), service("web", {"app": "web"}))
    rolled_out(kubectl, "web")
    address = address_of(kubectl, "web")
    cluster.eventually("version 1 answers", lambda: ask(address) == "1")
    return address


def test_an_update_and_the_way_back_fail_no_request(cluster, kubectl, web):
    with Load(web, 80) as load:
        cluster.eventually("some answers", lambda: load.answers[b"1"] > 50)
        kubectl("set image deployment/web echo=skiff/echo:2").ok()
        rolled_out(kubectl, "web")
        cluster.eventually("the new version alone", lambda: answers(web, 10) == {"2": 10})
        kubectl("rollout undo deployment/web").ok()
        rolled_out(kubectl, "web")
        cluster.eventually("the old version alone", lambda: answers(web, 10) == {"1": 10})
    load.none_failed()
    assert load.answers[b"1"] and load.answers[b"2"]


def test_scaling_fails_no_request(cluster, kubectl, web):
    with Load(web, 80) as load:
        for replicas in (1, 4, 2):
            kubectl(f"scale deployment/web --replicas={replicas}").ok()
            cluster.eventually(f"{replicas} pods", lambda: kubectl("get pods -l app=web -o name").ok().out.count("pod/") == replicas)
            rolled_out(kubectl, "web")
    load.none_failed()


@pytest.mark.parametrize("victim", ["agent", "server"])
def test_an_update_ends_when_one_of_us_is_killed_in_it(cluster, kubectl, web, victim):
    with Load(web, 80) as load:
        kubectl("set image deployment/web echo=skiff/echo:2").ok()
        cluster.eventually("the update has begun", lambda: load.answers[b"2"] > 0)
        os.kill(cluster.pid_of(victim), signal.SIGKILL)
        cluster.eventually("the API answers", lambda: kubectl("get pods").code == 0)
        cluster.eventually("rolled out", lambda: kubectl("rollout status deployment/web --timeout=60s", timeout=90).code == 0)
        cluster.eventually("the new version alone", lambda: answers(web, 10) == {"2": 10})
    load.none_failed()


def test_a_bad_image_harms_nobody(cluster, kubectl, web):
    with Load(web, 80) as load:
        kubectl("set image deployment/web echo=skiff/echo:none").ok()
        cluster.eventually("the image is told", lambda: "ImagePull" in kubectl("get pods").ok().out or "ErrImage" in kubectl("get pods").ok().out)
        assert kubectl("get deployment web -o jsonpath={.status.availableReplicas}").ok().out == "3"
        kubectl("rollout undo deployment/web").ok()
        rolled_out(kubectl, "web")
    load.none_failed()
    assert set(load.answers) == {b"1"}


def test_a_canary_gets_its_share_and_is_promoted_or_taken_back(cluster, kubectl):
    stable, canary = ({"app": "shop", "track": track} for track in ("stable", "canary"))
    create(kubectl, deployment("stable", 3, 1, stable), deployment("canary", 1, 2, canary), service("shop", {"app": "shop"}))
    for name in ("stable", "canary"):
        rolled_out(kubectl, name)
    shop = address_of(kubectl, "shop")
    cluster.eventually("both answer", lambda: set(answers(shop, 30)) == {"1", "2"})
    share = answers(shop, 400)
    assert set(share) == {"1", "2"} and 50 <= share["2"] <= 150, f"a quarter of 400 is due: {share}"
    with Load(shop, 80) as load:
        kubectl("scale deployment/canary --replicas=0").ok()   # taken back
        cluster.eventually("the stable alone", lambda: answers(shop, 20) == {"1": 20})
        kubectl("scale deployment/canary --replicas=1").ok()
        kubectl("set image deployment/stable echo=skiff/echo:2").ok()   # promoted
        rolled_out(kubectl, "stable")
        kubectl("delete deployment canary").ok()
        cluster.eventually("the new version alone", lambda: answers(shop, 20) == {"2": 20})
    load.none_failed()


def test_replication_controllers_are_rolled_by_hand(cluster, kubectl):
    def controller(name, replicas, version):
        labels = {"app": "rc", "version": name}
        return {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name},
                "spec": {"replicas": replicas, "selector": labels, "template": pod_template(labels, version)}}
    create(kubectl, controller("rc-v1", 2, 1), controller("rc-v2", 0, 2), service("rc", {"app": "rc"}))
    address = address_of(kubectl, "rc")
    cluster.eventually("version 1 answers", lambda: ask(address) == "1")
    with Load(address, 80) as load:
        for new, old in ((1, 1), (2, 0)):
            kubectl(f"scale rc rc-v2 --replicas={new}").ok()
            cluster.eventually("the new ones", lambda: kubectl("get rc rc-v2 -o jsonpath={.status.readyReplicas}").ok().out == str(new))
            kubectl(f"scale rc rc-v1 --replicas={old}").ok()
        cluster.eventually("the new version alone", lambda: answers(address, 20) == {"2": 20})
        kubectl("delete rc rc-v1").ok()
    load.none_failed()
    assert load.answers[b"1"] and load.answers[b"2"]


def test_a_deployment_is_exposed_on_the_node(cluster, kubectl, web):
    kubectl("expose deployment web --type=NodePort --name=outside --port=80 --target-port=8080").ok()
    port = int(kubectl("get service outside -o jsonpath={.spec.ports[0].nodePort}").ok().out)
    node = json.loads(kubectl("get nodes -o json").ok().out)["items"][0]
    host = next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")
    cluster.eventually("the node answers", lambda: ask(host, port) == "1")
    assert subprocess.run(["curl", "-s", "-m", "5", f"http://{host}:{port}/healthz"], capture_output=True, text=True).stdout.strip() == "ok"

"""What every namespace has, and what one that is going away refuses."""
import json


def root_ca(cluster, namespace):
    got = cluster.kubectl(f"get configmap kube-root-ca.crt -n {namespace} -o json")
    return json.loads(got.out) if got.code == 0 else {}


def test_the_root_certificate_comes_back(cluster, namespace):
    before = root_ca(cluster, namespace)
    assert "BEGIN CERTIFICATE" in before["data"]["ca.crt"]
    cluster.kubectl(f"delete configmap kube-root-ca.crt -n {namespace}").ok()
    again = cluster.eventually("made again", lambda: root_ca(cluster, namespace))
    assert again["data"] == before["data"] and again["metadata"]["uid"] != before["metadata"]["uid"]
    cluster.kubectl(["patch", "configmap", "kube-root-ca.crt", "-n", namespace, "-p", '{"data":{"ca.crt":"forged"}}']).ok()
    cluster.eventually("put right", lambda: root_ca(cluster, namespace)["data"] == before["data"])


def test_the_default_account_comes_back(cluster, namespace):
    cluster.kubectl(f"delete serviceaccount default -n {namespace}").ok()
    cluster.eventually("made again", lambda: cluster.kubectl(f"get serviceaccount default -n {namespace}").code == 0)


def test_a_namespace_that_is_going_away_takes_nothing_new(cluster):
    """Held by a finalizer, so that it stays Terminating for as long as the test looks."""
    cluster.kubectl("create namespace going").ok()
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "namespace": "going", "finalizers": ["example.com/hold"]}}
    cluster.apply(held).ok()
    cluster.kubectl("delete namespace going --wait=false").ok()
    cluster.eventually("Terminating", lambda: cluster.kubectl(["get", "namespace", "going", "-o", "jsonpath={.status.phase}"]).out == "Terminating")
    refused = cluster.kubectl("create configmap late -n going").fails()
    assert "forbidden: unable to create new content in namespace going because it is being terminated" in refused.err
    cluster.kubectl(["patch", "configmap", "held", "-n", "going", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]']).ok()
    cluster.eventually("gone", lambda: cluster.kubectl("get namespace going").code != 0)

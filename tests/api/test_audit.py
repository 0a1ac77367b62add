"""The audit log, as who runs a cluster finds it."""
import json

from cluster import pod


def events(cluster):
    with open(f"{cluster.root}/log/audit.log") as log:
        return [json.loads(line) for line in log]


def test_what_a_user_does_is_told(cluster, namespace):
    cluster.kubectl(f"create configmap told -n {namespace}").ok()
    cluster.kubectl(f"delete configmap told -n {namespace} --as mallory").fails()

    def mine(verb):
        return [event for event in events(cluster) if event["verb"] == verb and
                event.get("objectRef", {}).get("namespace") == namespace and event["objectRef"].get("name") == "told"]
    made = cluster.eventually("the create is told", lambda: mine("create"))[0]
    assert made["user"]["username"] == "kubernetes-admin" and made["level"] == "Metadata"
    assert made["user"]["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")
    assert made["userAgent"].startswith("kubectl") and made["responseStatus"]["code"] == 201
    assert made["annotations"]["authorization.k8s.io/decision"] == "allow"
    refused = cluster.eventually("the refusal is told", lambda: mine("delete"))[0]
    assert refused["impersonatedUser"]["username"] == "mallory" and refused["responseStatus"]["code"] == 403
    assert refused["annotations"]["authorization.k8s.io/decision"] == "forbid"


def test_pods_that_a_stricter_standard_would_refuse_are_told(cluster, namespace):
    cluster.kubectl(f"label namespace {namespace} pod-security.kubernetes.io/audit=baseline").ok()
    manifest = pod("open", "sleep 60", hostPID=True)
    manifest["metadata"]["namespace"] = namespace
    cluster.apply(manifest).ok()
    cluster.eventually("it is told", lambda: any(
        "host namespaces" in event.get("annotations", {}).get("pod-security.kubernetes.io/audit-violations", "") and
        event["objectRef"]["namespace"] == namespace for event in events(cluster)))

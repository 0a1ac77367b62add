"""What is let in: priorities, bounds, and the Pod Security Standards, as kubectl shows them."""
from cluster import pod


def in_namespace(manifest, namespace):
    manifest["metadata"]["namespace"] = namespace
    return manifest


def test_classes_of_priority(cluster, namespace):
    shown = cluster.kubectl("get priorityclasses -o jsonpath={.items[*].metadata.name}").ok().out.split()
    assert {"system-cluster-critical", "system-node-critical"} <= set(shown)
    assert "cannot be deleted" in cluster.kubectl("delete priorityclass system-node-critical").fails().err
    name = f"high-{namespace}"
    cluster.kubectl(f"create priorityclass {name} --value=1000 --preemption-policy=Never").ok()
    cluster.apply(in_namespace(pod("a", "sleep 1", priorityClassName=name), namespace)).ok()
    cluster.apply(in_namespace(pod("b", "sleep 1"), namespace)).ok()
    shown = cluster.kubectl(f"get pods -n {namespace} -o jsonpath={{.items[*].spec.priority}}").ok().out
    assert shown == "1000 0"
    assert f"Priority Class Name:  {name}" in cluster.kubectl(f"describe pod a -n {namespace}").ok().out
    refused = cluster.apply(in_namespace(pod("c", "sleep 1", priorityClassName="none"), namespace)).fails()
    assert "no PriorityClass with name none was found" in refused.err
    cluster.kubectl(f"delete priorityclass {name}").ok()


def test_bounds_of_a_namespace(cluster, namespace):
    cluster.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "bounds", "namespace": namespace}, "spec": {"limits": [
        {"type": "Container", "default": {"memory": "64Mi"}, "defaultRequest": {"memory": "32Mi"}, "max": {"memory": "128Mi"}}]}}).ok()
    cluster.apply(in_namespace(pod("a", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; sleep 60"), namespace)).ok()
    cluster.wait_ready("a", namespace=namespace)
    cluster.eventually("the default is in force", lambda: str(64 << 20) in cluster.kubectl(f"logs a -n {namespace}").out)
    assert cluster.kubectl(f"get pod a -n {namespace} -o jsonpath={{.status.qosClass}}").out == "Burstable"
    large = in_namespace(pod("b", "sleep 1"), namespace)
    large["spec"]["containers"][0]["resources"] = {"limits": {"memory": "1Gi"}}
    assert "maximum memory usage per Container is 128Mi, but limit is 1Gi" in cluster.apply(large).fails().err


def test_pod_security(cluster, namespace):
    cluster.apply(in_namespace(pod("before", "sleep 60", hostPID=True), namespace)).ok()
    label = "pod-security.kubernetes.io"
    labelled = cluster.kubectl(f"label namespace {namespace} {label}/enforce=baseline {label}/warn=restricted").ok()
    assert 'violate the new PodSecurity enforce level "baseline:latest"' in labelled.err and "before: host namespaces" in labelled.err
    refused = cluster.apply(in_namespace(pod("a", "sleep 1", hostNetwork=True), namespace)).fails()
    assert 'pods "a" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)' in refused.err
    warned = cluster.kubectl(f"create deployment d --image=busybox:1.35 --replicas=0 -n {namespace}").ok()
    assert 'Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "busybox" must set' in warned.err
    cluster.kubectl(f"label namespace {namespace} --overwrite {label}/enforce=restricted").ok()
    good = in_namespace(pod("good", "id -u; sleep 60", securityContext={"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}),
                        namespace)
    good["spec"]["containers"][0]["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    cluster.apply(good).ok()
    cluster.wait_ready("good", namespace=namespace)
    wrong = cluster.kubectl(f"label namespace {namespace} --overwrite {label}/enforce=strict").fails().err
    assert "must be one of privileged, baseline, restricted" in wrong

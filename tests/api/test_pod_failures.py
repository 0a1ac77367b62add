"""Pods that cannot run say why, as Kubernetes' own do."""
import json

from cluster import matches, pod


def reason_of(cluster, name, namespace, state="waiting"):
    return cluster.kubectl(["get", "pod", name, "-n", namespace, "-o",
                            f"jsonpath={{.status.containerStatuses[0].state.{state}.reason}}"]).out


def make(cluster, namespace, manifest):
    cluster.kubectl(f"create -n {namespace} -f -", stdin=json.dumps(manifest)).ok()


def test_an_image_that_does_not_exist(cluster, namespace):
    make(cluster, namespace, pod("noimage", "true", image="localhost:1/nothing:v1"))
    cluster.eventually("ErrImagePull", lambda: reason_of(cluster, "noimage", namespace) in ("ErrImagePull", "ImagePullBackOff"))
    cluster.eventually("ImagePullBackOff", lambda: reason_of(cluster, "noimage", namespace) == "ImagePullBackOff", 60)
    described = cluster.kubectl(f"describe pod noimage -n {namespace}").ok().out
    assert matches(r"Warning\s+Failed\s", described)


def test_a_secret_that_is_missing(cluster, namespace):
    manifest = pod("noconfig", "true")
    manifest["spec"]["containers"][0]["env"] = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "later", "key": "k"}}}]
    manifest["spec"]["containers"][0]["command"] = ["sh", "-c", "echo $X; sleep 300"]
    make(cluster, namespace, manifest)
    cluster.eventually("CreateContainerConfigError", lambda: reason_of(cluster, "noconfig", namespace) == "CreateContainerConfigError")
    cluster.kubectl(f"create secret generic later --from-literal=k=v -n {namespace}").ok()
    cluster.wait_ready("noconfig", namespace=namespace, seconds=60)
    assert cluster.kubectl(f"logs noconfig -n {namespace}").ok().out == "v\n"


def test_a_command_that_fails_backs_off(cluster, namespace):
    make(cluster, namespace, pod("crash", "exit 7"))
    cluster.eventually("CrashLoopBackOff", lambda: reason_of(cluster, "crash", namespace) == "CrashLoopBackOff", 60)
    last = cluster.kubectl(f"get pod crash -n {namespace} -o json").json()["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 7 and last["reason"] == "Error"


def test_never_restarted_pods_end(cluster, namespace):
    make(cluster, namespace, pod("good", "true", restartPolicy="Never"))
    make(cluster, namespace, pod("sour", "exit 2", restartPolicy="Never"))
    cluster.wait_phase("good", "Succeeded", namespace=namespace)
    cluster.wait_phase("sour", "Failed", namespace=namespace)


def test_a_pod_that_fits_nowhere_waits(cluster, namespace):
    make(cluster, namespace, pod("elsewhere", "true", nodeSelector={"no": "such"}))
    cluster.eventually("FailedScheduling", lambda: "FailedScheduling" in cluster.kubectl(f"get events -n {namespace}").out)
    assert cluster.kubectl(f"get pod elsewhere -n {namespace} -o jsonpath={{.status.phase}}").out == "Pending"

"""Volumes that outlive pods: bound to claims by themselves, kept or let go as their policy says, waited for with a reason."""
import itertools
import os
import shutil

import pytest
from cluster import matches

NUMBERS = itertools.count(1)


@pytest.fixture
def folder(cluster):
    path = f"/tmp/skiff-volume-{os.getpid()}-{next(NUMBERS)}"
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def volume(cluster, folder):
    """Makes volumes; takes them away again."""
    made = []

    def make(size="1Gi", modes=("ReadWriteOnce",), **spec):
        name = f"pv-{os.getpid()}-{next(NUMBERS)}"
        cluster.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name, "labels": {"test": name}},
                       "spec": {"capacity": {"storage": size}, "accessModes": list(modes),
                                "hostPath": {"path": folder, "type": "DirectoryOrCreate"}, **spec}}).ok()
        made.append(name)
        return name
    yield make
    for name in made:
        cluster.kubectl(f"patch pv {name} --type=merge -p {{\"metadata\":{{\"finalizers\":null}}}}")
        cluster.kubectl(f"delete pv {name} --ignore-not-found --wait=false")


def claim(name, size="1Gi", **spec):
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": size}}, **spec}}


def mounting(space, name, claim_name, script, **spec):
    container = space.container("main", script, volumeMounts=[{"name": "data", "mountPath": "/data"}])
    return space.pod(name, container, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}], **spec)


def phase(space, what):
    return space.kubectl(f"get {what} -o jsonpath={{.status.phase}}").out


def test_rows_outlive_their_pods(space, volume, folder):
    name = volume()
    space.create(claim("rows", selector={"matchLabels": {"test": name}}))
    space.eventually("bound", lambda: phase(space, "pvc/rows") == "Bound" and phase(space, f"pv/{name}") == "Bound")
    shown = space.kubectl("get pvc rows").ok().out
    assert name in shown and "1Gi" in shown and "RWO" in shown, shown
    assert f"{space.name}/rows" in space.kubectl(f"get pv {name}").ok().out
    space.create(mounting(space, "writer", "rows", "echo kept > /data/row; sleep 600"))
    space.until_ready("writer")
    space.eventually("written", lambda: space.run("writer", "cat /data/row").strip() == "kept")
    assert open(f"{folder}/row").read() == "kept\n"
    space.kubectl("delete pod writer --grace-period=0 --force").ok()
    space.create(mounting(space, "reader", "rows", "cat /data/row; sleep 600"))
    space.until_ready("reader")
    space.eventually("read", lambda: space.log("reader") == "kept\n")
    assert "reader" in space.kubectl("describe pvc rows").ok().out   # Used By
    space.kubectl("delete pod reader --grace-period=0 --force").ok()
    space.kubectl("delete pvc rows").ok()
    space.eventually("released, and kept", lambda: phase(space, f"pv/{name}") == "Released")
    assert open(f"{folder}/row").read() == "kept\n"


def test_a_claim_that_nothing_satisfies_says_why_and_is_bound_when_it_can(space, volume):
    label = {"matchLabels": {"only": space.name}}
    space.create(claim("large", "7Gi", selector=label))
    space.create(mounting(space, "waits", "large", "sleep 600"))
    space.eventually("told", lambda: "no persistent volumes available for this claim and no storage class is set"
                     in space.kubectl("describe pvc large").ok().out)
    assert phase(space, "pvc/large") == "Pending"
    assert phase(space, "pod/waits") == "Pending"
    name = volume("8Gi")
    space.kubectl(f"label pv {name} only={space.name}").ok()
    space.eventually("bound", lambda: phase(space, "pvc/large") == "Bound")
    assert space.kubectl("get pvc large -o jsonpath={.status.capacity.storage}").ok().out == "8Gi"
    space.until_ready("waits")


def test_a_pod_waits_for_a_claim_that_is_not_there(space, volume):
    space.create(mounting(space, "early", "late", "sleep 600"))
    space.eventually("told", lambda: 'persistentvolumeclaim "late" not found' in space.kubectl("describe pod early").ok().out)
    name = volume()
    space.create(claim("late", selector={"matchLabels": {"test": name}}))
    space.until_ready("early")


def test_two_claims_never_get_one_volume(space, volume):
    label = f"race-{space.name}"
    names = [volume() for _ in range(3)]
    for name in names:
        space.kubectl(f"label pv {name} race={label}").ok()
    space.create(*[claim(f"race-{number}", selector={"matchLabels": {"race": label}}) for number in range(6)])

    def bound():
        claims = space.kubectl("get pvc -o json").json()["items"]
        return [one["spec"]["volumeName"] for one in claims if one["metadata"]["name"].startswith("race-") and one["status"].get("phase") == "Bound"]
    space.eventually("three of six", lambda: len(bound()) == 3)
    assert sorted(bound()) == sorted(names)
    for name in names:
        owner = space.kubectl(f"get pv {name} -o jsonpath={{.spec.claimRef.name}}").ok().out
        assert space.kubectl(f"get pvc {owner} -o jsonpath={{.spec.volumeName}}").ok().out == name


def test_a_claim_without_a_class_gets_a_folder_of_its_pods_node(space, cluster):
    space.eventually("the default class", lambda: "(default)" in space.kubectl("get storageclass local-path").out)
    made = claim("own")
    del made["spec"]["storageClassName"]
    space.create(made)
    space.until_event("own", "WaitForFirstConsumer")
    assert phase(space, "pvc/own") == "Pending"
    space.create(mounting(space, "user", "own", "id -u > /data/who; sleep 600", securityContext={"runAsUser": 12345}))
    space.until_ready("user")
    shown = space.shown("own", "pvc")
    assert shown["spec"]["storageClassName"] == "local-path" and shown["status"]["phase"] == "Bound"
    name = shown["spec"]["volumeName"]
    folder = f"{cluster.root}/volumes/{name}"
    assert open(f"{folder}/who").read() == "12345\n", "anyone in the pod may write"
    space.until_event("own", "ProvisioningSucceeded")
    space.kubectl("delete pod user --grace-period=0 --force").ok()
    space.create(mounting(space, "next", "own", "cat /data/who; sleep 600"))   # bound now: its folder is waiting
    space.until_ready("next")
    space.eventually("read", lambda: space.log("next") == "12345\n")
    space.kubectl("delete pod next --grace-period=0 --force").ok()
    space.kubectl("delete pvc own").ok()
    space.eventually("the volume is gone", lambda: space.kubectl(f"get pv {name}").code != 0)
    assert not os.path.exists(folder)


def test_a_claim_for_one_pod_is_for_one_pod(space):
    space.create(claim("single", storageClassName="local-path", accessModes=["ReadWriteOncePod"]))
    space.create(mounting(space, "first", "single", "sleep 600"))
    space.until_ready("first")
    space.create(mounting(space, "second", "single", "sleep 600"))
    space.until_event("second", "FailedScheduling", "ReadWriteOncePod access mode")
    space.kubectl("delete pod first --grace-period=0 --force").ok()
    space.until_ready("second")


def test_a_claim_in_use_stays_until_its_pod_is_gone(space, cluster):
    space.create(claim("held", storageClassName="local-path"))
    space.create(mounting(space, "holder", "held", "echo here > /data/file; sleep 600"))
    space.until_ready("holder")
    space.kubectl("delete pvc held --wait=false").ok()
    assert matches(r"^held\s+Terminating\s", space.kubectl("get pvc").ok().out)
    assert space.run("holder", "cat /data/file") == "here\n"
    space.create(mounting(space, "late", "held", "sleep 600"))
    space.until_event("late", "FailedScheduling", "is being deleted")
    space.kubectl("delete pod late holder --grace-period=0 --force").ok()
    space.eventually("gone", lambda: not space.shown("held", "pvc"))


def test_a_pod_brings_its_claim_along(space, cluster):
    ephemeral = {"name": "data", "ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"of": "pod"}}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "local-path", "resources": {"requests": {"storage": "1Mi"}}}}}}
    container = space.container("main", "echo mine > /data/file; sleep 600", volumeMounts=[{"name": "data", "mountPath": "/data"}])
    space.create(space.pod("owner", container, volumes=[ephemeral]))
    space.until_ready("owner")
    made = space.shown("owner-data", "pvc")
    assert made["metadata"]["labels"] == {"of": "pod"} and made["status"]["phase"] == "Bound"
    space.kubectl("delete pod owner").ok()
    space.eventually("the claim goes with its pod", lambda: not space.shown("owner-data", "pvc"))


def test_a_claim_gets_the_default_class_that_comes_after_it(space):
    def default(said):
        space.kubectl(f"annotate storageclass local-path storageclass.kubernetes.io/is-default-class={said} --overwrite").ok()
    default("false")
    try:
        made = claim("classless")
        del made["spec"]["storageClassName"]
        space.create(made, mounting(space, "patient", "classless", "sleep 600"))
        space.until_event("classless", "FailedBinding", "no storage class is set")
        assert "storageClassName" not in space.shown("classless", "pvc")["spec"]
    finally:
        default("true")
    space.until_ready("patient")
    assert space.shown("classless", "pvc")["spec"]["storageClassName"] == "local-path"


def test_volumes_are_made_where_their_class_allows_it(space):
    space.create({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "racked"},
                  "provisioner": "skiff.local/local-path", "volumeBindingMode": "WaitForFirstConsumer",
                  "allowedTopologies": [{"matchLabelExpressions": [{"key": "rack", "values": ["seven", "eight"]}]}]})
    node = space.kubectl("get nodes -o name").ok().out.strip()
    try:
        space.create(claim("racked", storageClassName="racked"), mounting(space, "racked", "racked", "sleep 600"))
        space.until_event("racked", "FailedScheduling", "didn't find available persistent volumes to bind")
        space.kubectl(f"label {node} rack=eight").ok()
        space.until_ready("racked")
    finally:
        space.kubectl(f"label {node} rack-")
        space.kubectl("delete storageclass racked")

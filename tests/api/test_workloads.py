"""Deployments, replica sets, replication controllers and what is deleted with them, with the oldest and the newest kubectl."""
import json

import pytest
from cluster import kubectls, matches

IMAGE, SAME_IMAGE, NO_IMAGE = "busybox:1.35", "docker.io/library/busybox:1.35", "busybox:there-is-none"
EDGES = list(dict.fromkeys([next(iter(kubectls())), next(reversed(kubectls()))]))


@pytest.fixture(params=EDGES)
def kubectl(request, cluster, namespace):
    path = kubectls()[request.param]
    return lambda line, **more: cluster.kubectl(line if isinstance(line, list) else f"{line} -n {namespace}", path=path, **more)


def template(app, image=IMAGE, labels=None):
    return {"metadata": {"labels": {"app": app, **(labels or {})}},
            "spec": {"terminationGracePeriodSeconds": 1,
                     "containers": [{"name": "main", "image": image, "command": ["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"]}]}}


def workload(kind, name, replicas, version="apps/v1", **spec):
    labels = {"app": name}
    selector = labels if kind == "ReplicationController" else {"matchLabels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": selector, "template": template(name), **spec}}


def create(kubectl, manifest):
    return kubectl("create -f -", stdin=json.dumps(manifest)).ok()


def pods(kubectl, selector):
    """Those that are there to stay: name to image."""
    found = kubectl(f"get pods -l {selector} -o json").json()["items"]
    return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in found if "deletionTimestamp" not in pod["metadata"]}


def sets(kubectl, selector):
    found = kubectl(f"get rs -l {selector} -o json").json()["items"]
    return {one["metadata"]["name"]: one for one in found}


def rolled_out(kubectl, name):
    return kubectl(f"rollout status deployment/{name} --timeout=60s", timeout=90).ok().out


def test_a_rolling_update_and_the_way_back(kubectl):
    create(kubectl, workload("Deployment", "web", 3))
    assert "successfully rolled out" in rolled_out(kubectl, "web")
    assert matches(r"^web\s+3/3\s+3\s+3\s+\d+s$", kubectl("get deployment web").ok().out)
    first = set(pods(kubectl, "app=web"))
    assert len(first) == 3

    assert "image updated" in kubectl(f"set image deployment/web main={SAME_IMAGE}").ok().out
    rolled_out(kubectl, "web")
    second = pods(kubectl, "app=web")
    assert set(second.values()) == {SAME_IMAGE} and not first & set(second)
    history = kubectl("rollout history deployment/web").ok().out
    assert matches(r"^1\s", history) and matches(r"^2\s", history)
    assert SAME_IMAGE in kubectl("rollout history deployment/web --revision=2").ok().out

    assert "rolled back" in kubectl("rollout undo deployment/web").ok().out
    rolled_out(kubectl, "web")
    assert set(pods(kubectl, "app=web").values()) == {IMAGE}
    history = kubectl("rollout history deployment/web").ok().out
    assert matches(r"^3\s", history) and not matches(r"^1\s", history)

    described = kubectl("describe deployment web").ok().out
    assert matches(r"^\s+Available\s+True\s+MinimumReplicasAvailable", described), described
    assert matches(r"^\s+Progressing\s+True\s+NewReplicaSetAvailable", described), described
    assert matches(r"ScalingReplicaSet\s.*Scaled up replica set web-\w+ (from 0 )?to 3", described), described
    kubectl("delete deployment web --grace-period=1").ok()


def test_a_bad_image_stops_at_the_old_pods(cluster, kubectl):
    create(kubectl, workload("Deployment", "web", 3, progressDeadlineSeconds=3))
    rolled_out(kubectl, "web")
    before = set(pods(kubectl, "app=web"))
    kubectl(f"set image deployment/web main={NO_IMAGE}").ok()
    failed = kubectl("rollout status deployment/web --timeout=60s", timeout=90).fails()
    assert "exceeded its progress deadline" in failed.out + failed.err
    assert before <= set(pods(kubectl, "app=web")), "none may go: 25 % of three is none"
    assert kubectl("get deployment web -o jsonpath={.status.availableReplicas}").ok().out == "3"
    kubectl("rollout undo deployment/web").ok()
    rolled_out(kubectl, "web")
    cluster.eventually("the old pods alone", lambda: set(pods(kubectl, "app=web")) == before)
    kubectl("delete deployment web --grace-period=1").ok()


def test_pause_resume_restart_and_scale(cluster, kubectl):
    create(kubectl, workload("Deployment", "web", 1))
    rolled_out(kubectl, "web")
    kubectl("rollout pause deployment/web").ok()
    kubectl(f"set image deployment/web main={SAME_IMAGE}").ok()
    kubectl("scale deployment/web --replicas=2").ok()
    cluster.eventually("two of the old", lambda: list(pods(kubectl, "app=web").values()) == [IMAGE, IMAGE])
    assert len(sets(kubectl, "app=web")) == 1
    kubectl("rollout resume deployment/web").ok()
    rolled_out(kubectl, "web")
    assert set(pods(kubectl, "app=web").values()) == {SAME_IMAGE}
    kubectl("rollout restart deployment/web").ok()
    rolled_out(kubectl, "web")
    assert len(sets(kubectl, "app=web")) == 3
    kubectl("scale deployment/web --replicas=0").ok()
    cluster.eventually("none", lambda: not pods(kubectl, "app=web"))
    kubectl("delete deployment web").ok()


def test_recreate_has_no_two_generations_at_once(cluster, kubectl):
    create(kubectl, workload("Deployment", "db", 1, strategy={"type": "Recreate"}))
    rolled_out(kubectl, "db")
    kubectl(f"set image deployment/db main={SAME_IMAGE}").ok()

    def replaced():
        found = kubectl("get pods -l app=db -o json").json()["items"]
        # One that has ended holds nothing up any more, though it may still be listed.
        images = {pod["spec"]["containers"][0]["image"] for pod in found if pod["status"]["phase"] not in ("Succeeded", "Failed")}
        assert len(images) <= 1, "both at once"
        return images == {SAME_IMAGE}
    cluster.eventually("the new pod", replaced)
    rolled_out(kubectl, "db")
    kubectl("delete deployment db --grace-period=1").ok()


def test_a_canary_by_labels(cluster, kubectl):
    for track, image, replicas in (("stable", IMAGE, 2), ("canary", SAME_IMAGE, 1)):
        manifest = workload("Deployment", f"web-{track}", replicas)
        labels = {"app": "web", "track": track}
        manifest["spec"]["selector"] = {"matchLabels": labels}
        manifest["spec"]["template"] = template("web", image, {"track": track})
        create(kubectl, manifest)
    for track in ("stable", "canary"):
        rolled_out(kubectl, f"web-{track}")
    assert sorted(pods(kubectl, "app=web").values()) == sorted([IMAGE, IMAGE, SAME_IMAGE])
    # Promoted: the stable track takes the image, the canary goes.
    kubectl(f"set image deployment/web-stable main={SAME_IMAGE}").ok()
    rolled_out(kubectl, "web-stable")
    kubectl("scale deployment/web-canary --replicas=0").ok()
    cluster.eventually("the stable two", lambda: list(pods(kubectl, "app=web").values()) == [SAME_IMAGE, SAME_IMAGE])
    kubectl("delete deployment web-stable web-canary --grace-period=1").ok()


def test_a_rolling_update_of_replication_controllers_by_hand(cluster, kubectl):
    for name, replicas in (("old", 2), ("new", 0)):
        manifest = workload("ReplicationController", name, replicas, "v1")
        manifest["spec"]["selector"] = {"app": "rc", "version": name}
        manifest["spec"]["template"] = template("rc", labels={"version": name})
        create(kubectl, manifest)

    def ready(name):
        return kubectl(f"get rc {name} -o jsonpath={{.status.readyReplicas}}").ok().out
    cluster.eventually("two old ones", lambda: ready("old") == "2")
    for old, new in ((2, 1), (1, 2), (0, 2)):
        for name, replicas in (("new", new), ("old", old)):
            assert "scaled" in kubectl(f"scale rc/{name} --replicas={replicas}").ok().out
            cluster.eventually(f"{replicas} {name}", lambda: ready(name) == (str(replicas) if replicas else ""))
    assert all(name.startswith("new-") for name in pods(kubectl, "app=rc"))
    assert matches(r"^new\s+2\s+2\s+2\s", kubectl("get rc").ok().out)
    assert matches(r"SuccessfulCreate\s.*Created pod: new-", kubectl("describe rc new").ok().out)
    kubectl("delete rc old new --grace-period=1").ok()
    cluster.eventually("none", lambda: not pods(kubectl, "app=rc"))


def test_pods_are_replaced_adopted_and_let_go(cluster, kubectl):
    create(kubectl, {"apiVersion": "v1", "kind": "Pod", **template("set"), "metadata": {"name": "alone", "labels": {"app": "set"}}})
    create(kubectl, workload("ReplicaSet", "set", 2))
    cluster.eventually("one beside the adopted", lambda: len(pods(kubectl, "app=set")) == 2)
    owner = kubectl("get pod alone -o jsonpath={.metadata.ownerReferences[0].name}").ok().out
    assert owner == "set"
    kubectl("label pod alone app=other --overwrite").ok()
    cluster.eventually("another in its place", lambda: len(pods(kubectl, "app=set")) == 2)
    assert kubectl("get pod alone -o jsonpath={.metadata.ownerReferences}").ok().out == ""
    one = next(iter(pods(kubectl, "app=set")))
    kubectl(f"delete pod {one} --wait=false").ok()
    cluster.eventually("replaced", lambda: one not in pods(kubectl, "app=set") and len(pods(kubectl, "app=set")) == 2)
    kubectl("delete rs set --grace-period=1").ok()
    kubectl("delete pod alone --grace-period=1").ok()


def test_what_is_deleted_with_a_deployment(cluster, kubectl):
    older = kubectl("version --client -o json").json()["clientVersion"]["minor"].rstrip("+") == "20"
    for cascade in ("background", "foreground", "orphan"):
        name = cascade
        create(kubectl, workload("Deployment", name, 1))
        rolled_out(kubectl, name)
        kubectl(f"delete deployment {name} --cascade={cascade} --timeout=60s", timeout=90).ok()
        if cascade == "foreground":
            assert not sets(kubectl, f"app={name}") and not pods(kubectl, f"app={name}"), "they go first"
        elif cascade == "background":
            cluster.eventually("all gone", lambda: not sets(kubectl, f"app={name}") and not pods(kubectl, f"app={name}"))
        else:
            left = sets(kubectl, f"app={name}")
            assert len(left) == 1 and "ownerReferences" not in next(iter(left.values()))["metadata"], (older, left)
            assert len(pods(kubectl, f"app={name}")) == 1
            # Who comes anew under the same selector takes them over.
            create(kubectl, workload("Deployment", name, 1))
            rolled_out(kubectl, name)
            assert list(sets(kubectl, f"app={name}")) == list(left)
            kubectl(f"delete deployment {name} --grace-period=1").ok()


def test_an_owner_in_another_namespace_is_none(cluster, kubectl):
    uid = cluster.kubectl("get configmap kube-root-ca.crt -n kube-system -o jsonpath={.metadata.uid}").ok().out
    create(kubectl, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "strange", "ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "kube-root-ca.crt", "uid": uid}]}})
    cluster.eventually("collected", lambda: kubectl("get configmap strange").code != 0)
    cluster.eventually("told", lambda: "OwnerRefInvalidNamespace" in kubectl("get events").ok().out)


def test_a_namespace_tells_what_it_waits_for(cluster, kubectl):
    name = f"waits-{kubectl('version --client -o json').json()['clientVersion']['minor'].rstrip('+')}"
    cluster.kubectl(f"create namespace {name}").ok()
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "namespace": name, "finalizers": ["example.com/hold"]}}).ok()
    cluster.kubectl(f"delete namespace {name} --wait=false").ok()

    def told():
        conditions = cluster.kubectl(f"get namespace {name} -o json").json()["status"].get("conditions", [])
        return {one["type"]: one["message"] for one in conditions}
    cluster.eventually("conditions", lambda: "NamespaceFinalizersRemaining" in told())
    assert told()["NamespaceContentRemaining"] == "Some resources are remaining: configmaps. has 1 resource instances"
    assert told()["NamespaceFinalizersRemaining"] == "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    cluster.kubectl(["patch", "configmap", "held", "-n", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}']).ok()
    cluster.eventually("gone", lambda: cluster.kubectl(f"get namespace {name}").code != 0)

"""Debian's python3-kubernetes, unmodified: what programs written with it do all day."""
import threading
import time

import pytest
import yaml
from cluster import pod

kubernetes = pytest.importorskip("kubernetes", reason="python3-kubernetes is not installed")
from kubernetes import client, config, dynamic, utils, watch  # noqa: E402
from kubernetes.client.rest import ApiException  # noqa: E402
from kubernetes.leaderelection import electionconfig, leaderelection  # noqa: E402
from kubernetes.leaderelection.leaderelectionrecord import LeaderElectionRecord  # noqa: E402
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock  # noqa: E402
from kubernetes.stream import portforward, stream  # noqa: E402


@pytest.fixture(scope="module")
def api(cluster):
    with open(cluster.kubeconfig) as text:
        config.load_kube_config_from_dict(yaml.safe_load(text))
    return client.ApiClient()


@pytest.fixture(scope="module")
def core(api):
    return client.CoreV1Api(api)


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"made": "here"}), data=data)


def test_typed_calls(core, namespace):
    made = core.create_namespaced_config_map(namespace, config_map("a", key="1"))
    assert made.metadata.uid and made.metadata.creation_timestamp.tzinfo
    made.data["key"] = "2"
    replaced = core.replace_namespaced_config_map("a", namespace, made)
    assert replaced.data == {"key": "2"} and replaced.metadata.resource_version != made.metadata.resource_version
    with pytest.raises(ApiException) as stale:
        core.replace_namespaced_config_map("a", namespace, made)
    assert stale.value.status == 409 and "the object has been modified" in stale.value.body
    with pytest.raises(ApiException) as twice:
        core.create_namespaced_config_map(namespace, config_map("a"))
    assert twice.value.status == 409 and "AlreadyExists" in twice.value.body
    assert core.delete_namespaced_config_map("a", namespace).status == "Success"
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_config_map("a", namespace)
    assert gone.value.status == 404


def test_patches_of_each_kind(core, namespace):
    core.create_namespaced_config_map(namespace, config_map("a", key="1", other="x"))
    # This client says merge for an object and JSON patch for a list.
    merged = core.patch_namespaced_config_map("a", namespace, {"data": {"other": None, "more": "y"}})
    assert merged.data == {"key": "1", "more": "y"}
    changed = core.patch_namespaced_config_map("a", namespace, [{"op": "replace", "path": "/data/key", "value": "2"}])
    assert changed.data == {"key": "2", "more": "y"}
    with pytest.raises(ApiException) as wrong:
        core.patch_namespaced_config_map("a", namespace, [{"op": "test", "path": "/data/key", "value": "3"}])
    assert wrong.value.status == 422


def test_lists_in_chunks_and_collections_deleted(core, namespace):
    for number in range(7):
        core.create_namespaced_config_map(namespace, config_map(f"m{number}", n=str(number)))
    seen, token = [], None
    while True:
        page = core.list_namespaced_config_map(namespace, limit=3, _continue=token, label_selector="made=here")
        seen += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert seen == [f"m{number}" for number in range(7)]
    one = core.list_namespaced_config_map(namespace, field_selector="metadata.name=m3")
    assert [item.metadata.name for item in one.items] == ["m3"]
    core.delete_collection_namespaced_config_map(namespace, label_selector="made=here")
    assert not core.list_namespaced_config_map(namespace, label_selector="made=here").items


def test_watch(core, namespace):
    core.create_namespaced_config_map(namespace, config_map("a", key="1"))
    core.create_namespaced_config_map(namespace, config_map("b", key="1"))
    core.patch_namespaced_config_map("b", namespace, {"data": {"key": "2"}})
    core.delete_namespaced_config_map("a", namespace)
    seen, watching = [], watch.Watch()
    first = core.list_namespaced_config_map(namespace, label_selector="made=here")
    core.create_namespaced_config_map(namespace, config_map("c", key="1"))
    core.delete_namespaced_config_map("b", namespace)
    for event in watching.stream(core.list_namespaced_config_map, namespace, label_selector="made=here",
                                 resource_version=first.metadata.resource_version, timeout_seconds=30):
        assert isinstance(event["object"], client.V1ConfigMap)
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 2:
            watching.stop()
    assert seen == [("ADDED", "c"), ("DELETED", "b")]


def test_a_pod_its_log_exec_and_port(cluster, core, namespace):
    body = pod("web", "mkdir /www && echo from-the-pod > /www/index.html && echo started && exec httpd -f -p 8080 -h /www")
    core.create_namespaced_pod(namespace, body)
    watching = watch.Watch()
    for event in watching.stream(core.list_namespaced_pod, namespace, field_selector="metadata.name=web", timeout_seconds=60):
        if event["object"].status.phase == "Running":
            watching.stop()
    cluster.eventually("its line", lambda: core.read_namespaced_pod_log("web", namespace) == "started\n")
    following = watch.Watch()
    for line in following.stream(core.read_namespaced_pod_log, "web", namespace):
        assert line == "started"
        following.stop()

    said = stream(core.connect_get_namespaced_pod_exec, "web", namespace, command=["sh", "-c", "echo out; echo err >&2"],
                  stdout=True, stderr=True, stdin=False, tty=False)
    assert sorted(said.split()) == ["err", "out"]
    talk = stream(core.connect_get_namespaced_pod_exec, "web", namespace, command=["sh"], stdout=True, stderr=True, stdin=True,
                  tty=False, _preload_content=False)
    talk.write_stdin("echo $((40 + 2))\n")
    assert talk.readline_stdout(timeout=20) == "42"
    talk.write_stdin("exit 3\n")
    talk.run_forever(timeout=20)
    assert talk.returncode == 3

    forward = portforward(core.connect_get_namespaced_pod_portforward, "web", namespace, ports="8080")
    connection, answer = forward.socket(8080), b""
    connection.setblocking(True)
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    while chunk := connection.recv(4096):
        answer += chunk
    assert answer.endswith(b"from-the-pod\n") and forward.error(8080) is None

    core.create_namespaced_pod_eviction("web", namespace, client.V1Eviction(metadata=client.V1ObjectMeta(name="web")))
    cluster.eventually("the pod is gone", lambda: not core.list_namespaced_pod(namespace).items)


def test_a_deployment_is_scaled(cluster, api, namespace):
    apps = client.AppsV1Api(api)
    template = pod("unused", "sleep 1000")
    apps.create_namespaced_deployment(namespace, {
        "metadata": {"name": "d"}, "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "d"}}, "template": {
            "metadata": {"labels": {"app": "d"}}, "spec": template["spec"]}}})

    def ready(count):
        cluster.eventually(f"{count} ready", lambda: apps.read_namespaced_deployment_status("d", namespace).status.ready_replicas == count)
    ready(1)
    scale = apps.read_namespaced_deployment_scale("d", namespace)
    scale.spec.replicas = 2
    assert apps.replace_namespaced_deployment_scale("d", namespace, scale).spec.replicas == 2
    ready(2)
    apps.patch_namespaced_deployment_scale("d", namespace, {"spec": {"replicas": 0}})
    cluster.eventually("none", lambda: not client.CoreV1Api(api).list_namespaced_pod(namespace).items)
    apps.delete_namespaced_deployment("d", namespace, propagation_policy="Foreground")
    cluster.eventually("gone", lambda: not apps.list_namespaced_replica_set(namespace).items)


def test_who_may(api, namespace):
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(
        resource_attributes=client.V1ResourceAttributes(namespace=namespace, verb="list", resource="pods")))
    assert client.AuthorizationV1Api(api).create_self_subject_access_review(review).status.allowed


def test_files_as_kubectl_has_them(api, core, namespace, tmp_path):
    path = tmp_path / "all.yaml"
    path.write_text("""
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {selector: {app: a}, ports: [{port: 80}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: c}
spec: {schedule: "0 0 1 1 *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}
""")
    utils.create_from_yaml(api, str(path), namespace=namespace)
    assert core.read_namespaced_service("s", namespace).spec.cluster_ip
    assert client.BatchV1Api(api).read_namespaced_cron_job("c", namespace).spec.concurrency_policy == "Allow"


def test_discovery_lists_every_group(api):
    groups = {group.name: group for group in client.ApisApi(api).get_api_versions().groups}
    assert groups["apps"].preferred_version.version == "v1"
    assert client.VersionApi(api).get_code().major == "1"
    resources = client.CoreV1Api(api).get_api_resources().resources
    assert next(found for found in resources if found.name == "pods").short_names == ["po"]


def test_the_dynamic_client(cluster, api, namespace):
    anything = dynamic.DynamicClient(api)
    # Of the versions that it finds it calls the one preferred that discovery does.
    found = anything.resources.search(kind="Deployment", group="apps")
    assert [kind.group_version for kind in found if kind.preferred] == ["apps/v1"]
    maps = anything.resources.get(api_version="v1", kind="ConfigMap")
    made = maps.create(namespace=namespace, body={"metadata": {"name": "a"}, "data": {"k": "1"}})
    seen = []

    def look():
        for event in maps.watch(namespace=namespace, resource_version=made.metadata.resourceVersion, timeout=30):
            seen.append((event["type"], event["object"].data.k))
            if event["type"] == "DELETED":
                return
    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    assert maps.patch(namespace=namespace, name="a", body={"data": {"k": "2"}}, content_type="application/merge-patch+json").data.k == "2"
    strategic = maps.patch(namespace=namespace, name="a", body={"data": {"k": "3"}}, content_type="application/strategic-merge-patch+json")
    assert strategic.data.k == "3"
    maps.delete(namespace=namespace, name="a")
    watcher.join(30)
    assert seen == [("MODIFIED", "2"), ("MODIFIED", "3"), ("DELETED", "3")]
    with pytest.raises(dynamic.exceptions.NotFoundError):
        maps.get(namespace=namespace, name="a")


class LeaseLock:
    """What the client's election wants of a lock, over a Lease as controllers of today use it."""

    def __init__(self, leases, name, namespace, identity):
        self.leases, self.name, self.namespace, self.identity, self.lease = leases, name, namespace, identity, None

    def get(self, name, namespace):
        try:
            self.lease = self.leases.read_namespaced_lease(name, namespace)
        except ApiException as problem:
            return False, problem
        spec = self.lease.spec
        return True, LeaderElectionRecord(spec.holder_identity, spec.lease_duration_seconds, spec.acquire_time, spec.renew_time)

    def spec(self, record):
        now = client.V1LeaseSpec(holder_identity=record.holder_identity, lease_duration_seconds=int(record.lease_duration))
        now.renew_time = "2026-01-02T03:04:05.%06dZ" % (time.monotonic_ns() // 1000 % 1_000_000)
        now.acquire_time = self.lease.spec.acquire_time if self.lease else now.renew_time
        return now

    def create(self, name, namespace, election_record):
        try:
            meta = client.V1ObjectMeta(name=name)
            self.leases.create_namespaced_lease(namespace, client.V1Lease(metadata=meta, spec=self.spec(election_record)))
        except ApiException:
            return False
        return True

    def update(self, name, namespace, updated_record):
        self.lease.spec = self.spec(updated_record)
        try:
            self.leases.replace_namespaced_lease(name, namespace, self.lease)
        except ApiException:
            return False
        return True


CUT_OFF = ApiException(status=503)
CUT_OFF.body = '{"code": 503}'


class Candidate:
    """Stands for election in a thread until it is cut off from the cluster."""

    def __init__(self, lock):
        self.leads, self.lost, self.cut = threading.Event(), threading.Event(), threading.Event()
        get = lock.get
        lock.get = lambda name, namespace: (False, CUT_OFF) if self.cut.is_set() else get(name, namespace)
        settings = electionconfig.Config(lock, lease_duration=3, renew_deadline=2, retry_period=1,
                                         onstarted_leading=self.leads.set, onstopped_leading=self.lost.set)
        self.thread = threading.Thread(target=leaderelection.LeaderElection(settings).run, daemon=True)
        self.thread.start()


@pytest.mark.parametrize("kind", ["lease", "configmap"])
def test_leader_election(api, core, namespace, kind):
    def lock(identity):
        if kind == "configmap":
            return ConfigMapLock("leader", namespace, identity)
        return LeaseLock(client.CoordinationV1Api(api), "leader", namespace, identity)
    first = Candidate(lock("first"))
    assert first.leads.wait(20)
    second = Candidate(lock("second"))
    assert not second.leads.wait(4), "two lead at once"
    assert first.thread.is_alive()
    first.cut.set()
    assert first.lost.wait(20)
    assert second.leads.wait(20)
    second.cut.set()
    assert second.lost.wait(20)

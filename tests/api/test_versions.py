"""Which versions there are, with a cluster that hides the old ones, and what is told of the whole."""
import json
import os

import pytest
from cluster import Cluster, kubectls, pod


def test_top_shows_what_is_used(cluster, namespace):
    busy = pod("busy", "while true; do :; done")
    busy["metadata"].update(namespace=namespace, labels={"app": "busy"})
    cluster.apply(busy).ok()
    cluster.wait_ready("busy", namespace=namespace)

    def rows(line, path=None):
        return [row.split() for row in cluster.kubectl(f"top {line} --no-headers", path).ok().out.splitlines()]
    for path in kubectls().values():
        (name, cpu, memory), = rows(f"pod -n {namespace} -l app=busy", path)
        assert name == "busy" and int(cpu.removesuffix("m")) > 0 and memory.endswith("Mi")
        (node, cpu, share, memory, _), = rows("node", path)
        assert int(cpu.removesuffix("m")) > 0 and share.endswith("%") and int(memory.removesuffix("Mi")) > 0
    (_, container, _, _), = rows(f"pod busy -n {namespace} --containers")
    assert container == "main"
    raw = cluster.kubectl(["get", "--raw", f"/api/v1/nodes/{node}/proxy/metrics/resource"]).ok().out
    assert f'container_cpu_usage_seconds_total{{container="main",namespace="{namespace}",pod="busy"}}' in raw
    cluster.kubectl(f"delete pod busy -n {namespace} --grace-period=0 --force").ok()


def test_every_kind_is_explained(cluster):
    """What kubectl explain and apply read: each kind of discovery has its schema, each of its fields words."""
    def raw(path):
        return json.loads(cluster.kubectl(["get", "--raw", path]).ok().out)
    versions = [("api/v1", "v1")] + [(f"apis/{version['groupVersion']}", version["groupVersion"])
                                     for group in raw("/apis")["groups"] for version in group["versions"]]
    kinds = 0
    for path, version in versions:
        found = {(kind["group"], kind["version"], kind["kind"]): schema
                 for schema in raw(f"/openapi/v3/{path}")["components"]["schemas"].values()
                 for kind in schema.get("x-kubernetes-group-version-kind", [])}
        for resource in raw(f"/{path}")["resources"]:
            if "/" in resource["name"]:
                continue
            group, _, number = version.rpartition("/")
            schema = found[group, number, resource["kind"]]
            assert schema["description"] and "kind" in schema["properties"], resource
            assert all(field.get("description") for field in schema["properties"].values()), resource
            kinds += 1
    assert kinds > 100
    assert "FIELDS:" in cluster.kubectl("explain deployment.spec --api-version=extensions/v1beta1").ok().out


def test_component_statuses(cluster):
    for path in kubectls().values():
        shown = cluster.kubectl("get componentstatuses", path).ok()
        assert [line.split()[:2] for line in shown.out.splitlines()[1:]] == [
            ["controller-manager", "Healthy"], ["etcd-0", "Healthy"], ["scheduler", "Healthy"]]


def test_legacy_versions_off():
    if os.geteuid() != 0:
        pytest.skip("containers need root")
    made = Cluster(["--legacy-versions=off"])
    try:
        made.up()
        versions = made.kubectl("api-versions").ok().out.split()
        assert "apps/v1" in versions and "autoscaling/v1" in versions
        assert not {"extensions/v1beta1", "apps/v1beta2", "batch/v1beta1", "policy/v1beta1"} & set(versions)
        old = made.apply({"apiVersion": "apps/v1beta1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {}}).fails()
        assert 'no matches for kind "Deployment" in version "apps/v1beta1"' in old.err
        assert "legacy-versions=off" in made.skiff("status").out
        assert json.loads(made.kubectl("get --raw /apis/apps").ok().out)["versions"] == [{"groupVersion": "apps/v1", "version": "v1"}]
    finally:
        made.reset()

"""Quotas of a namespace, as kubectl shows them."""
import concurrent.futures


def quota(cluster, namespace, name, hard, **spec):
    cluster.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name, "namespace": namespace},
                   "spec": {"hard": hard, **spec}}).ok()


def test_a_bound_holds_under_a_race_and_shows_what_is_used(cluster, namespace):
    quota(cluster, namespace, "few", {"count/configmaps": "4"})   # one is kube-root-ca.crt
    cluster.eventually("the root certificate is counted", lambda: cluster.kubectl(
        ["get", "quota", "few", "-n", namespace, "-o", "jsonpath={.status.used.count/configmaps}"]).out == "1")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: cluster.kubectl(f"create configmap c{number} -n {namespace}"), range(8)))
    assert sum(one.code == 0 for one in made) == 3
    for refused in (one for one in made if one.code):
        assert "exceeded quota: few, requested: count/configmaps=1, used: count/configmaps=4, limited: count/configmaps=4" in refused.err
    assert "4     4" in cluster.kubectl(f"describe quota few -n {namespace}").ok().out
    cluster.kubectl(["delete", next(f"configmap/c{i}" for i, one in enumerate(made) if one.code == 0), "-n", namespace]).ok()
    cluster.eventually("there is room again", lambda: cluster.kubectl(f"create configmap again -n {namespace}").code == 0)


def test_a_deployment_stops_at_the_quota_and_says_why(cluster, namespace):
    quota(cluster, namespace, "pods", {"pods": "1"})
    cluster.kubectl(f"create deployment web --image=busybox:1.35 --replicas=2 -n {namespace} -- sleep 600").ok()
    cluster.eventually("the refusal is told", lambda: "exceeded quota: pods, requested: pods=1, used: pods=1, limited: pods=1" in
                       cluster.kubectl(f"get events -n {namespace}").out)
    assert len(cluster.kubectl(f"get pods -n {namespace} -o name").out.split()) == 1
    cluster.kubectl(["patch", "quota", "pods", "-n", namespace, "-p", '{"spec":{"hard":{"pods":"2"}}}']).ok()
    cluster.eventually("the other pod comes", lambda: len(cluster.kubectl(f"get pods -n {namespace} -o name").out.split()) == 2)

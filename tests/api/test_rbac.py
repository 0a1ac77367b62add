"""Roles and bindings as a user meets them, and what a pod may with its own token."""
import json

import pytest
from cluster import pod

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def can(cluster, what, who):
    return cluster.kubectl(f"auth can-i {what} --as {who}").out.split("\n")[0] == "yes"


def test_a_binding_counts_from_its_commit_on(cluster, namespace):
    user = f"bob-{namespace}"
    assert not can(cluster, f"get pods -n {namespace}", user)
    cluster.kubectl(f"create rolebinding bob --clusterrole=edit --user={user} -n {namespace}").ok()
    for what in ("get pods", "create deployments.apps", "get secrets", "delete pods", "create pods/exec"):
        assert can(cluster, f"{what} -n {namespace}", user), what
    for what in (f"create roles -n {namespace}", "get pods -n default", "get nodes", "get pods --all-namespaces"):
        assert not can(cluster, what, user), what
    cluster.kubectl(f"delete rolebinding bob -n {namespace}").ok()
    assert not can(cluster, f"get pods -n {namespace}", user)


def test_nobody_grants_what_he_does_not_hold(cluster, namespace):
    user = f"amy-{namespace}"
    cluster.kubectl(f"create rolebinding amy --clusterrole=admin --user={user} -n {namespace}").ok()
    as_user = f"-n {namespace} --as {user}"
    cluster.kubectl(f"create role reader --verb=get --resource=pods {as_user}").ok()
    cluster.kubectl(f"create rolebinding reader --role=reader --user=someone {as_user}").ok()
    for line in ("role nodes --verb=get --resource=nodes", "rolebinding all --clusterrole=cluster-admin --user=someone"):
        refused = cluster.kubectl(f"create {line} {as_user}").fails()
        assert "is attempting to grant RBAC permissions not currently held" in refused.err
    # Who may bind a role need not hold what it allows.
    cluster.kubectl(f"create clusterrole bind-{namespace} --verb=bind --resource=clusterroles.rbac.authorization.k8s.io --resource-name=cluster-admin").ok()
    cluster.kubectl(f"create rolebinding may-bind --clusterrole=bind-{namespace} --user={user} -n {namespace}").ok()
    cluster.kubectl(f"create rolebinding all --clusterrole=cluster-admin --user=someone {as_user}").ok()
    cluster.kubectl(f"delete clusterrole bind-{namespace}").ok()


def test_a_labelled_role_adds_to_the_roles_that_gather_it(cluster, namespace):
    name, user = f"more-{namespace}", f"eve-{namespace}"
    cluster.kubectl(f"create rolebinding eve --clusterrole=view --user={user} -n {namespace}").ok()
    assert not can(cluster, f"get secrets -n {namespace}", user)
    cluster.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                   "metadata": {"name": name, "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
                   "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}).ok()
    cluster.eventually("gathered", lambda: can(cluster, f"get secrets -n {namespace}", user))
    cluster.kubectl(f"delete clusterrole {name}").ok()
    cluster.eventually("let go again", lambda: not can(cluster, f"get secrets -n {namespace}", user))


def test_the_default_roles_are_there_and_come_back(cluster):
    names = set(cluster.kubectl("get clusterroles -o name").ok().out.split())
    for name in ("cluster-admin", "admin", "edit", "view", "system:discovery", "system:basic-user", "system:public-info-viewer",
                 "system:kube-scheduler", "system:node-proxier", "system:controller:namespace-controller"):
        assert f"clusterrole.rbac.authorization.k8s.io/{name}" in names
    admin = cluster.kubectl("get clusterrole admin -o json").json()
    resources = {resource for rule in admin["rules"] for resource in rule.get("resources", [])}
    assert {"pods", "deployments", "ingresses", "rolebindings", "secrets"} <= resources


def test_reconcile_completes_roles(cluster, namespace):
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r", "namespace": namespace},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
    cluster.apply(role).ok()
    role["rules"].append({"apiGroups": [""], "resources": ["services"], "verbs": ["list"]})
    cluster.kubectl("auth reconcile -f -", stdin=json.dumps(role)).ok()
    assert len(cluster.kubectl(f"get role r -n {namespace} -o json").json()["rules"]) == 2


@pytest.fixture
def pod_with_token(cluster, namespace):
    manifest = pod("asks", "sleep 600")
    manifest["metadata"]["namespace"] = namespace
    cluster.apply(manifest).ok()
    cluster.wait_ready("asks", namespace=namespace)
    return cluster.kubectl(f"get pod asks -n {namespace} -o json").json()


def test_a_pod_finds_its_token_and_may_what_its_account_may(cluster, namespace, pod_with_token):
    mounts = {mount["mountPath"] for mount in pod_with_token["spec"]["containers"][0]["volumeMounts"]}
    assert TOKEN in mounts and pod_with_token["spec"]["serviceAccountName"] == "default"
    assert cluster.kubectl(f"exec asks -n {namespace} -- ls {TOKEN}").ok().out.split() == ["ca.crt", "namespace", "token"]
    assert cluster.kubectl(f"exec asks -n {namespace} -- cat {TOKEN}/namespace").ok().out == namespace
    token = cluster.kubectl(f"exec asks -n {namespace} -- cat {TOKEN}/token").ok().out

    def ask():
        return cluster.kubectl(["--token", token, "--kubeconfig", without_identity(cluster), "get", "pods", "-n", namespace])
    assert f'User "system:serviceaccount:{namespace}:default" cannot list resource "pods"' in ask().fails().err
    cluster.kubectl(f"create rolebinding see --clusterrole=view --serviceaccount={namespace}:default -n {namespace}").ok()
    assert "asks" in ask().ok().out
    cluster.kubectl(f"delete pod asks -n {namespace} --grace-period=0 --force").ok()
    cluster.eventually("a gone pod's token is refused", lambda: "Unauthorized" in ask().err or "logged in" in ask().err)


def without_identity(cluster):
    """The cluster's address and certificate without the admin's client certificate."""
    config = cluster.kubectl("config view --raw -o json").json()
    config["users"] = [{"name": user["name"], "user": {}} for user in config["users"]]
    path = f"{cluster.home}/anonymous.kubeconfig"
    with open(path, "w") as stream:
        json.dump(config, stream)
    return path


def test_pods_and_accounts_may_decline_the_token(cluster, namespace):
    cluster.kubectl(f"create serviceaccount quiet -n {namespace}").ok()
    cluster.kubectl(["patch", "serviceaccount", "quiet", "-n", namespace, "-p", '{"automountServiceAccountToken":false}']).ok()

    def volumes(name, **spec):
        manifest = pod(name, "sleep 1", **spec)
        manifest["metadata"]["namespace"] = namespace
        cluster.apply(manifest).ok()
        return cluster.kubectl(f"get pod {name} -n {namespace} -o json").json()["spec"].get("volumes", [])
    assert volumes("a", automountServiceAccountToken=False) == []
    assert volumes("b", serviceAccountName="quiet") == []
    assert volumes("c", serviceAccountName="quiet", automountServiceAccountToken=True) != []
    missing = pod("d", "sleep 1", serviceAccountName="none")
    missing["metadata"]["namespace"] = namespace
    refused = cluster.apply(missing).fails()
    assert f'error looking up service account {namespace}/none: serviceaccount "none" not found' in refused.err

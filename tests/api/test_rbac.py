"""Roles and bindings as a user meets them, and what a pod may with its own token."""
import json
import subprocess

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


class Node:
    """Asks the API as the cluster's own node does: with its certificate and nothing else."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.name = cluster.kubectl("get nodes -o name").ok().out.split()[0].removeprefix("node/")
        self.config = without_identity(cluster)

    def __call__(self, line, stdin=None):
        words = line.split() if isinstance(line, str) else line
        pair = f"{self.cluster.root}/agent/pki/client"
        return self.cluster.kubectl(["--kubeconfig", self.config, "--client-certificate", f"{pair}.crt", "--client-key", f"{pair}.key", *words],
                                    stdin=stdin)


@pytest.fixture
def node(cluster):
    return Node(cluster)


def test_a_node_reads_what_its_pods_need_and_no_more(cluster, namespace, node):
    for name in ("mine", "other"):
        cluster.kubectl(f"create secret generic {name} --from-literal=k=v -n {namespace}").ok()
        cluster.kubectl(f"create configmap {name} --from-literal=k=v -n {namespace}").ok()
    refused = node(f"get secret mine -n {namespace}").fails().err
    assert f'User "system:node:{node.name}" cannot get resource "secrets" in API group "" in the namespace "{namespace}"' in refused
    manifest = pod("uses", "sleep 600", volumes=[{"name": "v", "secret": {"secretName": "mine"}}])
    manifest["metadata"]["namespace"] = namespace
    manifest["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "mine"}}]
    cluster.apply(manifest).ok()
    cluster.wait_ready("uses", namespace=namespace)
    for what in ("secret mine", "configmap mine", "configmap kube-root-ca.crt"):
        node(f"get {what} -n {namespace}").ok()
    for what in ("secret other", "configmap other", "secrets", "configmaps"):
        assert "forbidden" in node(f"get {what} -n {namespace}").fails().err, what
    for what in ("secrets", "configmaps", "persistentvolumes", "persistentvolumeclaims", "roles", "deployments"):
        assert "forbidden" in node(f"get {what} --all-namespaces").fails().err, what
    cluster.kubectl(f"delete pod uses -n {namespace} --grace-period=0 --force").ok()
    cluster.eventually("no longer", lambda: node(f"get secret mine -n {namespace}").code != 0)


def test_a_node_changes_only_what_is_its_own(cluster, namespace, node):
    assert f'node "{node.name}" is not allowed to modify labels: node-restriction.kubernetes.io/a' in \
        node(f"label node {node.name} node-restriction.kubernetes.io/a=b").fails().err
    assert "is not allowed to modify labels" in node(f"label node {node.name} node-role.kubernetes.io/control-plane=").fails().err
    assert "is not allowed to modify taints" in node(f"taint node {node.name} a=b:NoSchedule").fails().err
    node(f"label node {node.name} example.com/own=yes").ok()
    node(f"label node {node.name} example.com/own-").ok()
    manifest = pod("p", "sleep 1", nodeName=node.name)
    manifest["metadata"]["namespace"] = namespace
    refused = node("create -f - --validate=false", stdin=json.dumps(manifest)).fails().err
    assert f'pod does not have "kubernetes.io/config.mirror" annotation, node "{node.name}" can only create mirror pods' in refused
    manifest["spec"]["nodeName"] = "another"
    cluster.apply(manifest).ok()
    assert "can only delete pods with spec.nodeName set to itself" in node(f"delete pod p -n {namespace}").fails().err
    assert "forbidden" in node(["create", "token", "default", "-n", namespace]).fails().err


def test_the_anonymous_are_told_what_they_may_not(cluster):
    server = cluster.kubectl(["config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"]).ok().out

    def ask(path):
        done = subprocess.run(["curl", "-s", "--cacert", f"{cluster.root}/server/pki/ca.crt", server + path], capture_output=True, text=True, timeout=30)
        return json.loads(done.stdout)
    refused = ask("/api/v1/pods")
    assert (refused["code"], refused["reason"]) == (403, "Forbidden")
    assert refused["message"] == 'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope'
    assert ask("/version")["major"] == "1"

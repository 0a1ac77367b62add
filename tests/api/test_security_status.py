"""`skiff status --security` sees what is on, and what somebody opened: each by opening it."""
import os
import stat

import pytest
from cluster import Cluster


@pytest.fixture(scope="module")
def guarded():
    cluster = Cluster()
    try:
        yield cluster.up()
    finally:
        cluster.reset()


def told(cluster, code):
    outcome = cluster.skiff("status", "--security")
    assert outcome.code == code, outcome.out + outcome.err
    return outcome.out


def test_a_new_cluster_has_nothing_opened(guarded):
    out = told(guarded, 0)
    assert "look " not in out
    for line in ("keys, database and kubeconfig are root's alone", "the API server refuses who shows no identity",
                 "the node agent refuses who shows no identity", "nobody but system:masters may do everything"):
        assert f"on    {line}" in out, out
    assert "off   namespaces let any pod in\n      default: kubectl label namespace" in out


@pytest.mark.parametrize("opens, closes, line", [
    ("create clusterrolebinding given --clusterrole=cluster-admin --user=eve", "delete clusterrolebinding given",
     "look  cluster-admin was given away\n      User eve (given)"),
    ("create rolebinding open --clusterrole=view --group=system:unauthenticated", "delete rolebinding open",
     "look  those without identity were given rights\n      Group system:unauthenticated (open)"),
    ("create clusterrolebinding sa --clusterrole=cluster-admin --serviceaccount=default:default", "delete clusterrolebinding sa",
     "ServiceAccount default/default (sa)"),
])
def test_what_is_given_away_is_seen(guarded, opens, closes, line):
    guarded.kubectl(opens).ok()
    assert line in told(guarded, 3)
    guarded.kubectl(closes).ok()
    told(guarded, 0)


@pytest.mark.parametrize("path", ["server/pki/ca.key", "server/store.db", "admin.kubeconfig", "server/pki", "agent/pki"])
def test_a_file_that_is_open_is_seen(guarded, path):
    full = f"{guarded.root}/{path}"
    mode = stat.S_IMODE(os.stat(full).st_mode)
    os.chmod(full, mode | 0o044)
    assert f"{full}: chown root" in told(guarded, 3)
    os.chmod(full, mode)
    told(guarded, 0)


def test_a_namespace_that_enforces_a_standard_is_not_named(guarded):
    guarded.kubectl("label namespace default pod-security.kubernetes.io/enforce=baseline").ok()
    assert "on    every namespace enforces a Pod Security Standard" in told(guarded, 0)
    guarded.kubectl("label namespace default pod-security.kubernetes.io/enforce-").ok()

"""Volumes of the kinds that need no driver, and where they are mounted."""
import base64
import json
import os
import pathlib
import socket
import stat
import subprocess

import pytest


def mount(name, path=None, **more):
    return {"name": name, "mountPath": path or f"/{name}", **more}


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    c, sleep = space.container, "sleep 600"
    pathlib.Path(space.folder, "file").write_text("on the host\n")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{space.folder}/socket")

    def host(name, path, kind):
        return {"name": name, "hostPath": {"path": f"{space.folder}/{path}" if path[0] != "/" else path, "type": kind}}

    volumes = [
        {"name": "scratch", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "3Mi"}},
        host("dir", "made/dir", "DirectoryOrCreate"), host("touched", "touched", "FileOrCreate"), host("file", "file", "File"),
        host("socket", "socket", "Socket"), host("null", "/dev/null", "CharDevice"),
        {"name": "map", "configMap": {"name": "settings", "defaultMode": 0o400}},
        {"name": "items", "configMap": {"name": "settings", "items": [{"key": "a", "path": "deep/er/a.txt", "mode": 0o755}]}},
        {"name": "keys", "secret": {"secretName": "keys"}},
        {"name": "absent", "configMap": {"name": "nothing", "optional": True}}, {"name": "absents", "secret": {"secretName": "nothing", "optional": True}},
        {"name": "down", "downwardAPI": {"items": [
            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}, {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
            {"path": "memory", "mode": 0o440, "resourceFieldRef": {"containerName": "main", "resource": "limits.memory", "divisor": "1Mi"}}]}},
        {"name": "all", "projected": {"sources": [
            {"configMap": {"name": "settings", "items": [{"key": "a", "path": "map/a"}]}}, {"secret": {"name": "keys"}},
            {"downwardAPI": {"items": [{"path": "uid", "fieldRef": {"fieldPath": "metadata.uid"}}]}},
            {"serviceAccountToken": {"path": "token", "audience": "somebody", "expirationSeconds": 1200}}]}},
        {"name": "account", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "kube-root-ca.crt"}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}}]}},
    ]
    mounts = [mount(volume["name"]) for volume in volumes] + [
        mount("map", "/sub/a", subPath="a"), mount("scratch", "/sub/dir", subPath="one/two"),
        mount("scratch", "/sub/named", subPathExpr="of-$(POD)"), mount("scratch", "/sub/ro", readOnly=True)]
    everything = space.pod("everything", c("main", sleep, volumeMounts=mounts, resources={"limits": {"memory": "64Mi"}},
                                           env=[{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
                           c("beside", sleep, volumeMounts=[mount("scratch")]), volumes=volumes)
    everything["metadata"]["labels"] = {"app": "x"}

    def wrong(name, volume, **more):
        return space.pod(name, c("main", sleep, volumeMounts=[mount("v", **more)]), volumes=[{"name": "v", **volume}])

    shared = {"name": "v", "hostPath": {"path": f"{space.folder}/evil", "type": "DirectoryOrCreate"}}
    os.makedirs(f"{space.folder}/evil")
    os.makedirs(f"{space.folder}/outside")
    pathlib.Path(space.folder, "outside/secret").write_text("must not be seen\n")
    os.symlink("/", f"{space.folder}/evil/root")
    os.symlink("../outside", f"{space.folder}/evil/up")
    os.symlink("inside", f"{space.folder}/evil/fine")
    os.makedirs(f"{space.folder}/evil/inside")
    space.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "one", "b": "two"}, "binaryData": {"raw": "AP8="}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"password": "geheim"}},
        everything,
        wrong("no-map", {"configMap": {"name": "nothing"}}), wrong("no-key", {"secret": {"secretName": "keys", "items": [{"key": "x", "path": "x"}]}}),
        wrong("no-dir", host("v", "not-there", "Directory")), wrong("no-file", host("v", "evil", "File")),
        *[space.pod(f"evil-{link}", c("main", sleep, volumeMounts=[mount("v", subPath=path)]), volumes=[shared])
          for link, path in (("root", "root/etc"), ("up", "up/secret"), ("new", "root/tmp/skiff-must-not-be-made"))],
        space.pod("fine-link", c("main", sleep, volumeMounts=[mount("v", subPath="fine")]), volumes=[shared]),
        space.pod("grouped", c("main", sleep, volumeMounts=[mount("scratch"), mount("keys"), mount("memory")]), securityContext={
            "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 2000},
            volumes=[volumes[0], {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}}, volumes[1]]))
    yield
    listener.close()


def test_empty_dirs_are_shared_and_memory_is_bounded(space):
    space.until_ready("everything")
    space.run("everything", "echo hello > /scratch/x", "beside")
    assert space.run("everything", "cat /scratch/x; stat -c %a /scratch", "main") == "hello\n777\n"
    seen = space.run("everything", "grep ' /memory ' /proc/mounts; dd if=/dev/zero of=/memory/x bs=1M count=5 2>&1; ls -l /memory/x; rm /memory/x", "main")
    assert seen.startswith("tmpfs /memory tmpfs ") and "No space left" in seen and f" {3 << 20} " in seen


def test_host_paths_are_what_their_type_says(space):
    space.until_ready("everything")
    assert space.run("everything", "cat /file; test -d /dir && test -f /touched && test -S /socket && test -c /null && echo kinds", "main") == \
        "on the host\nkinds\n"
    assert stat.S_IMODE(os.stat(f"{space.folder}/touched").st_mode) == 0o644
    space.until_event("no-dir", "FailedMount", 'MountVolume.SetUp failed for volume "v" : hostPath type check failed: .*not-there is not a directory')
    space.until_event("no-file", "FailedMount", "hostPath type check failed: .*evil is not a file")


def test_config_maps_and_secrets_are_files(space):
    space.until_ready("everything")
    seen = space.run("everything", "cd /map; echo *; cat a b; od -An -tx1 raw; stat -Lc %a a; cd /items; find . -follow -type f -not -path '*/..*' | sort;"
                     "stat -Lc %a deep/er/a.txt; cat /keys/password; echo; stat -Lc %a /keys/password; ls -A /absent /absents | grep -v '^\\.\\.'; grep ' /keys ' /proc/mounts",
                     "main")
    assert seen.split("\n") [0] == "a b raw" and "onetwo" in seen and " 00 ff" in seen and "\n400\n" in seen
    assert "./deep/er/a.txt\n755\ngeheim\n644\n" in seen and "tmpfs /keys tmpfs ro" in seen
    space.until_event("no-map", "FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "nothing" not found')
    space.until_event("no-key", "FailedMount", "references non-existent secret key: x")


def test_sub_paths(space):
    space.until_ready("everything")
    space.run("everything", "echo deep > /sub/dir/x; echo named > /sub/named/x; ! touch /sub/ro/y 2>/dev/null", "main")
    assert space.run("everything", "cat /scratch/one/two/x /scratch/of-everything/x /sub/a", "main") == "deep\nnamed\none"
    assert space.run("everything", "! touch /map/new 2>/dev/null && echo read-only", "main") == "read-only\n"


def test_a_changed_config_map_arrives_but_not_below_a_sub_path(space):
    space.until_ready("everything")
    space.kubectl(["patch", "configmap", "settings", "-p", '{"data":{"a":"changed","new":"key"}}']).ok()
    space.kubectl(["patch", "secret", "keys", "-p", '{"stringData":{"password":"anders"}}']).ok()
    space.kubectl("label pod everything color=red").ok()
    want = "changedkeychangedchangedandersanders"
    space.eventually("arrived", lambda: space.run(
        "everything", "cat /map/a /map/new /items/deep/er/a.txt /all/map/a /keys/password /all/password 2>&1", "main") == want, 10)
    space.eventually("labels", lambda: 'color="red"' in space.run("everything", "cat /down/labels", "main"), 10)
    assert space.run("everything", "cat /sub/a", "main") == "one"


def test_downward_and_projected(space):
    pod = space.until_ready("everything")
    assert 'app="x"' in space.run("everything", "cat /down/labels", "main")
    assert space.run("everything", "cat /down/name; echo; cat /down/memory; stat -Lc ' %a' /down/memory; cat /all/uid", "main") == \
        f"everything\n64 440\n{pod['metadata']['uid']}"


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_service_account_tokens_are_bound_to_the_pod_and_accepted(space, tmp_path):
    pod = space.until_ready("everything")
    own = claims(space.run("everything", "cat /all/token", "main"))
    assert own["aud"] == ["somebody"] and 1100 <= own["exp"] - own["iat"] <= 1300
    folder = "/account"
    token = space.run("everything", f"cat {folder}/token", "main")
    bound = claims(token)["kubernetes.io"]
    assert bound["namespace"] == space.name and bound["serviceaccount"]["name"] == "default"
    assert bound["pod"] == {"name": "everything", "uid": pod["metadata"]["uid"]}
    assert claims(token)["sub"] == f"system:serviceaccount:{space.name}:default"
    assert space.run("everything", f"cat {folder}/namespace", "main") == space.name
    ca = tmp_path / "ca.crt"
    ca.write_text(space.run("everything", f"cat {folder}/ca.crt", "main"))
    server = json.loads(space.kubectl("config view --raw -o json").ok().out)["clusters"][0]["cluster"]["server"]

    def review(with_token):
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        return subprocess.run(["curl", "-sS", "--cacert", str(ca), "-H", f"Authorization: Bearer {with_token}", "-H", "Content-Type: application/json",
                               "-d", json.dumps(body), f"{server}/apis/authentication.k8s.io/v1/selfsubjectreviews"], capture_output=True, text=True)
    answer = json.loads(review(token).stdout)
    assert answer["status"]["userInfo"]["username"] == f"system:serviceaccount:{space.name}:default", answer
    assert json.loads(review(space.run("everything", "cat /all/token", "main")).stdout)["code"] == 401   # meant for somebody else


def test_a_link_in_a_sub_path_leads_nowhere_else(space):
    for name in ("evil-root", "evil-up", "evil-new"):
        def waits():
            state = space.status_of(name, "main").get("state", {}).get("waiting", {})
            return state if state.get("reason") == "CreateContainerConfigError" else None
        assert "failed to prepare subPath for volumeMount \"v\" of container \"main\"" in space.eventually("refused", waits)["message"]
    assert not os.path.exists("/tmp/skiff-must-not-be-made")
    space.until_ready("fine-link")


def test_a_volume_belongs_to_the_group_of_the_pod(space):
    space.until_ready("grouped")
    assert space.run("grouped", "id -u; id -G; stat -c '%g %a' /scratch; touch /scratch/x /memory/x && stat -c '%u %g' /scratch/x; cat /keys/password").split("\n")[:4] \
        == ["1000", "1000 2000", "2000 2777", "1000 2000"]

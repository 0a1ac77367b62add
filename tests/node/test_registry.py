"""Images of a registry that asks who pulls: imagePullSecrets, a service account's default, mirrors, `skiff image pull`."""
import base64
import crypt
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

import pytest

USER, PASSWORD = "puller", "s3cret-of-the-registry"
IMAGES = pathlib.Path(__file__).resolve().parents[2] / "build/images"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """Debian's docker-registry on the loopback, with a password file."""

    def __init__(self):
        self.folder, self.port = tempfile.mkdtemp(prefix="skiff-registry-"), free_port()
        self.host = f"127.0.0.1:{self.port}"
        salt = crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)
        pathlib.Path(self.folder, "users").write_text(f"{USER}:{crypt.crypt(PASSWORD, salt)}\n")
        pathlib.Path(self.folder, "config.yml").write_text(json.dumps({
            "version": 0.1, "log": {"level": "error", "accesslog": {"disabled": True}}, "http": {"addr": self.host},
            "storage": {"filesystem": {"rootdirectory": f"{self.folder}/data"}},
            "auth": {"htpasswd": {"realm": "test", "path": f"{self.folder}/users"}}}))
        self.process = subprocess.Popen(["docker-registry", "serve", f"{self.folder}/config.yml"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.ask("GET", "/v2/")
                return
            except OSError:
                assert time.monotonic() < deadline, "the registry does not answer"
                time.sleep(0.05)

    def ask(self, method, path, body=None, kind="application/octet-stream"):
        url = path if path.startswith("http") else f"http://{self.host}{path}"
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(url, data=body, method=method, headers={"Authorization": f"Basic {token}", "Content-Type": kind})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.headers

    def push(self, tar_file, name, tag):
        with tarfile.open(tar_file) as tar:
            blob = lambda digest: tar.extractfile("blobs/" + digest.replace(":", "/")).read()   # noqa: E731
            listed = json.load(tar.extractfile("index.json"))["manifests"][0]
            manifest = blob(listed["digest"])
            shown = json.loads(manifest)
            for part in (shown["config"], *shown["layers"]):
                content = blob(part["digest"])
                assert "sha256:" + hashlib.sha256(content).hexdigest() == part["digest"]
                place = self.ask("POST", f"/v2/{name}/blobs/uploads/", b"")["Location"]
                self.ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={part['digest']}", content)
            self.ask("PUT", f"/v2/{name}/manifests/{tag}", manifest, listed["mediaType"])

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def registry():
    made = Registry()
    try:
        made.push(IMAGES / "busybox.tar", "team/tool", "1")
        yield made
    finally:
        made.stop()


def docker_config(host, password=PASSWORD, user=USER):
    return {"auths": {host: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}}}


def secret(name, config, kind="kubernetes.io/dockerconfigjson", key=".dockerconfigjson"):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "stringData": {key: json.dumps(config)}}


@pytest.fixture(scope="module", autouse=True)
def pods(space, registry):
    space.create(
        secret("right", docker_config(registry.host)), secret("wrong", docker_config(registry.host, "guessed")),
        secret("by-path", docker_config(f"{registry.host}/team")), secret("elsewhere", docker_config("elsewhere.example")),
        secret("old", docker_config(registry.host)["auths"], "kubernetes.io/dockercfg", ".dockercfg"))
    for name, secrets in (("right", ["right"]), ("wrong", ["wrong"]), ("none", []), ("by-path", ["by-path"]), ("elsewhere", ["elsewhere"]),
                          ("old", ["old"]), ("several", ["wrong", "right"]), ("absent", ["comes-later"])):
        space.create(pod(space, registry, name, secrets))


def pod(space, registry, name, secrets, image=None, **spec):
    made = space.pod(name, space.container("main", "echo ran"), restartPolicy="Never",
                     imagePullSecrets=[{"name": each} for each in secrets], **spec)
    made["spec"]["containers"][0].update(image=image or f"{registry.host}/team/tool:1", imagePullPolicy="Always")
    return made


def succeeds(space, name):
    space.eventually(f"{name} Succeeded", lambda: space.phase(name) == "Succeeded", 40)


@pytest.mark.parametrize("name", ["right", "by-path", "old", "several"])
def test_credentials_that_fit_pull(space, name):
    succeeds(space, name)


@pytest.mark.parametrize("name", ["wrong", "none", "elsewhere"])
def test_a_refusal_is_told(space, name):
    def waiting():
        state = space.status_of(name, "main").get("state", {}).get("waiting", {})
        return state if state.get("reason") in ("ErrImagePull", "ImagePullBackOff") else None
    state = space.eventually(f"{name} waits", waiting)
    events = space.eventually(f"{name}: the registry's answer", lambda: [
        event for event in space.kubectl(f"get events --field-selector involvedObject.name={name} -o json").json()["items"]
        if event["reason"] == "Failed" and "401 Unauthorized" in event["message"] + state.get("message", "")
        or "no basic auth credentials" in event["message"] or "authorization failed" in event["message"]])
    assert all(PASSWORD not in event["message"] for event in events)


def test_a_secret_that_comes_later_is_used(space, registry):
    space.eventually("an event about it", lambda: "Unable to retrieve some image pull secrets (comes-later)" in space.kubectl(
        "get events --field-selector involvedObject.name=absent").out)
    space.create(secret("comes-later", docker_config(registry.host)))
    succeeds(space, "absent")


def test_the_service_accounts_default(space, registry):
    space.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "with-secret"}, "imagePullSecrets": [{"name": "right"}]})
    made = pod(space, registry, "by-account", [], serviceAccountName="with-secret")
    del made["spec"]["imagePullSecrets"]
    space.create(made)
    succeeds(space, "by-account")
    assert space.shown("by-account")["spec"]["imagePullSecrets"] == [{"name": "right"}]


def test_a_mirror_by_configuration(space, registry):
    folder = pathlib.Path(space.cluster.root, "registries.d/mirrored.example")
    folder.mkdir(parents=True)
    (folder / "hosts.toml").write_text(f'server = "https://mirrored.example"\n[host."http://{registry.host}"]\n  capabilities = ["pull", "resolve"]\n')
    try:
        space.create(secret("mirror", docker_config("mirrored.example")),
                     pod(space, registry, "mirrored", ["mirror"], "mirrored.example/team/tool:1"))
        succeeds(space, "mirrored")
    finally:
        shutil.rmtree(folder.parent)   # what is the user's, a reset leaves


def test_pull_by_hand(space, registry):
    cluster, image = space.cluster, f"{registry.host}/team/tool:1"
    refused = cluster.skiff("image", "pull", image).fails()
    assert "authoriz" in refused.err.lower() or "401" in refused.err or "credentials" in refused.err
    file = pathlib.Path(cluster.home, "auth.json")
    file.write_text(json.dumps(docker_config(registry.host)))
    assert f"pulled {image}" in cluster.skiff("image", "pull", image, "--auth-file", str(file)).ok().out
    assert image in cluster.skiff("image", "list").ok().out
    file.write_text(json.dumps(docker_config("elsewhere.example")))
    assert "no credentials for" in cluster.skiff("image", "pull", image, "--auth-file", str(file)).fails().err


def test_no_password_on_the_nodes_disk(space):
    for part in ("agent", "containerd", "log"):
        for here, _, names in os.walk(f"{space.cluster.root}/{part}"):
            for name in names:
                path = os.path.join(here, name)
                if os.path.islink(path) or not os.path.isfile(path) or os.path.getsize(path) > 32 << 20:
                    continue
                try:
                    content = pathlib.Path(path).read_bytes()
                except OSError:   # a pod's network namespace, or gone meanwhile
                    continue
                assert PASSWORD.encode() not in content, path
                assert base64.b64encode(f"{USER}:{PASSWORD}".encode()) not in content, path

"""A namespace for each file of tests, with short ways to make pods and to look at them."""
import json
import pathlib
import re
import shutil
import tempfile

import pytest

IMAGE = "busybox:1.35"


def container(name, command, **fields):
    """A container that runs `command` in a shell."""
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", command], **fields}


def make_pod(name, *containers, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec}}


class Space:
    """One namespace of the cluster."""
    container = staticmethod(container)
    pod = staticmethod(make_pod)

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.folder = tempfile.mkdtemp(prefix="skiff-node-")   # for hostPath volumes

    def kubectl(self, words, **options):
        words = words.split() if isinstance(words, str) else list(words)
        return self.cluster.kubectl([*words[:1], "-n", self.name, *words[1:]], **options)

    def create(self, *objects):
        self.kubectl("create -f -", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})).ok()

    def eventually(self, what, check, seconds=60):
        return self.cluster.eventually(what, check, seconds)

    def shown(self, name, kind="pod"):
        got = self.kubectl(f"get {kind} {name} -o json")
        return json.loads(got.out) if got.code == 0 else {}

    def all_shown(self):
        return {pod["metadata"]["name"]: pod for pod in self.kubectl("get pods -o json").json()["items"]}

    def phase(self, name):
        return self.shown(name).get("status", {}).get("phase")

    def until_phase(self, name, phase, seconds=60):
        """Waits; gives the pod."""
        def check():
            pod = self.shown(name)
            return pod if pod.get("status", {}).get("phase") == phase else None
        return self.eventually(f"pod {name} {phase}", check, seconds)

    def until_ready(self, name, seconds=60):
        self.cluster.wait_ready(name, seconds, self.name)
        return self.shown(name)

    def status_of(self, name, container_name):
        status = self.shown(name).get("status", {})
        for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
            for one in status.get(kind, []):
                if one["name"] == container_name:
                    return one
        return {}

    def log(self, name, container_name=None, *flags):
        words = ["logs", name, *flags] + (["-c", container_name] if container_name else [])
        return self.kubectl(words).ok().out

    def run(self, name, script, container_name=None):
        """What a shell script prints inside the pod."""
        where = ["-c", container_name] if container_name else []
        return self.kubectl(["exec", name, *where, "--", "sh", "-c", script]).ok().out

    def events(self, name):
        return [(event["reason"], event.get("message", "")) for event in
                self.kubectl(["get", "events", "--field-selector", f"involvedObject.name={name}", "-o", "json"]).json()["items"]]

    def until_event(self, name, reason, text="", seconds=60):
        def check():
            found = [message for told, message in self.events(name) if told == reason and re.search(text, message)]
            return found[0] if found else None
        return self.eventually(f"event {reason} {text} of {name}", check, seconds)

    def conditions(self, name):
        return {one["type"]: one for one in self.shown(name)["status"].get("conditions", [])}

    def file(self, name):
        path = pathlib.Path(self.folder, name)
        return path.read_text() if path.exists() else ""


@pytest.fixture(scope="module")
def space(cluster, request):
    name = request.module.__name__.rsplit(".", 1)[-1].replace("_", "-")
    cluster.kubectl(f"create namespace {name}").ok()
    cluster.eventually("default service account", lambda: cluster.kubectl(f"get sa default -n {name}").code == 0)
    made = Space(cluster, name)
    yield made
    cluster.kubectl(f"delete pods --all -n {name} --grace-period=0 --force --wait=false")
    cluster.kubectl(f"delete namespace {name} --wait=false")
    shutil.rmtree(made.folder, ignore_errors=True)

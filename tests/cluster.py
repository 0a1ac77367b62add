"""A cluster of its own for tests: real binary, real containers, everything below one temporary root."""
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parent.parent
SKIFF = os.environ.get("SKIFF", str(PROJECT / "build/release/skiff"))


def kubectls():
    """Every kubectl of this machine: name to path; Debian's 1.20 first."""
    found = {}
    candidates = [str(PROJECT / "build/kubectl-1.20/usr/bin/kubectl")]
    # Where several versions are installed they lie beside the one in the path (Google Cloud SDK).
    installed = shutil.which("kubectl")
    if installed:
        candidates += sorted(glob.glob(os.path.dirname(os.path.realpath(installed)) + "/kubectl.1.*"))
        candidates.append(installed)
    for path in candidates:
        if not os.access(path, os.X_OK):
            continue
        shown = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True)
        try:
            version = json.loads(shown.stdout)["clientVersion"]
        except (json.JSONDecodeError, KeyError):
            continue
        name = f"{version['major']}.{version['minor'].rstrip('+')}"
        found.setdefault(name, path)
    return found


class Outcome:
    def __init__(self, done, command):
        self.out, self.err, self.code, self.command = done.stdout, done.stderr, done.returncode, command

    def ok(self):
        assert self.code == 0, f"{self.command}\nexit {self.code}\n{self.out}{self.err}"
        return self

    def fails(self):
        assert self.code != 0, f"{self.command} should have failed but said\n{self.out}"
        return self

    def json(self):
        return json.loads(self.ok().out)


class Cluster:
    def __init__(self, flags=(), keep_root=None):
        self.home = tempfile.mkdtemp(prefix="skiff-home-")
        self.root = keep_root or tempfile.mkdtemp(prefix="skiff-test-")
        self.flags = list(flags)
        self.kubectl_path = next(reversed(kubectls().values()))

    def environment(self):
        env = {key: value for key, value in os.environ.items() if not key.startswith(("SUDO_", "KUBECONFIG"))}
        return {**env, "HOME": self.home, "KUBECTL_COMMAND_HEADERS": "false"}

    def skiff(self, *arguments, timeout=120):
        command = [SKIFF, *arguments, "--root", self.root]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=self.environment(), stdin=subprocess.DEVNULL)
        return Outcome(done, " ".join(command))

    def up(self):
        outcome = self.skiff("up", *self.flags)
        if outcome.code != 0:
            raise AssertionError(f"skiff up failed\n{outcome.out}{outcome.err}\n{self.logs()}")
        return self

    def import_images(self, *names):
        for name in names or ("busybox",):
            self.skiff("image", "import", str(PROJECT / f"build/images/{name}.tar")).ok()
        return self

    def logs(self, lines=15):
        text = ""
        for path in sorted(glob.glob(f"{self.root}/log/*.log")):
            with open(path, errors="replace") as stream:
                text += f"--- {path}\n" + "".join(stream.readlines()[-lines:])
        return text

    @property
    def kubeconfig(self):
        return f"{self.root}/admin.kubeconfig"

    def command(self, line, path=None):
        words = line.split() if isinstance(line, str) else list(line)
        return [path or self.kubectl_path, "--kubeconfig", self.kubeconfig, *words]

    def kubectl(self, line, path=None, stdin=None, timeout=60):
        command = self.command(line, path)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=self.environment(),
                              **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))
        return Outcome(done, "kubectl " + (line if isinstance(line, str) else " ".join(line)))

    def apply(self, manifest, verb="create"):
        return self.kubectl(f"{verb} -f -", stdin=manifest if isinstance(manifest, str) else json.dumps(manifest))

    def eventually(self, what, check, seconds=60):
        """Calls check until it gives something true; the last answer is in the failure."""
        deadline = time.monotonic() + seconds
        while True:
            answer = check()
            if answer:
                return answer
            if time.monotonic() > deadline:
                events = self.kubectl("get events -A").out
                raise AssertionError(f"not within {seconds} s: {what}\nlast answer: {answer!r}\n{events}\n{self.logs()}")
            time.sleep(0.05)

    def wait_phase(self, pod, phase="Running", seconds=60, namespace="default"):
        def check():
            return self.kubectl(["get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.phase}"]).out == phase
        self.eventually(f"pod {pod} {phase}", check, seconds)

    def wait_ready(self, pod, seconds=60, namespace="default"):
        path = '{.status.conditions[?(@.type=="Ready")].status}'

        def check():
            return self.kubectl(["get", "pod", pod, "-n", namespace, "-o", f"jsonpath={path}"]).out == "True"
        self.eventually(f"pod {pod} Ready", check, seconds)

    def pid_of(self, part):
        with open(f"{self.root}/run/{part}.pid") as stream:
            return int(stream.read().split()[0])

    def reset(self):
        outcome = self.skiff("reset", timeout=180)
        shutil.rmtree(self.home, ignore_errors=True)
        return outcome


def pod(name, command, image="busybox:1.35", **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "terminationGracePeriodSeconds": 1, **spec,
        "containers": [{"name": "main", "image": image, "command": ["sh", "-c", command]}]}}


def matches(pattern, text):
    return re.search(pattern, text, re.MULTILINE) is not None


def tell_versions():
    found = kubectls()
    absent = [version for version in ["1.20", *[f"1.{minor}" for minor in range(27, 34)]] if version not in found]
    print(f"kubectl: tested with {', '.join(found) or 'none'}; absent and so skipped: {', '.join(absent) or 'none'}", flush=True)


if __name__ == "__main__":
    tell_versions()

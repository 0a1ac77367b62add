"""examples/hands-on-2, word for word, on a cluster of its own that grants what 2017 took for granted: each test is a step and
stands on those before it."""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from browser import Browser
from cluster import Cluster, PROJECT
from load import Load

HERE = PROJECT / "examples/hands-on-2"
DATA = pathlib.Path("/data/mysql")


class World:
    """The cluster, this machine's address, and the folder that the manifests are read from."""

    def __init__(self):
        self.cluster = Cluster(["--compat=2017"])
        self.manifests, self.copy = HERE, None
        if DATA.exists():   # somebody's own: the volume is then put elsewhere
            self.copy = tempfile.mkdtemp(prefix="skiff-hands-on-")
            self.manifests = pathlib.Path(self.copy, "manifests")
            shutil.copytree(HERE, self.manifests)
            volume = self.manifests / "1-volume.yaml"
            volume.write_text(volume.read_text().replace(str(DATA), f"{self.copy}/mysql"))
        self.made_parent = not DATA.parent.exists()

    def start(self):
        self.cluster.up().import_images("busybox", "mysql", "koa-sample", "default-backend", "nginx-ingress-controller")
        shown = self.kubectl("get nodes -o json").json()["items"][0]
        self.node = shown["metadata"]["name"]
        self.address = next(each["address"] for each in shown["status"]["addresses"] if each["type"] == "InternalIP")

    def stop(self):
        self.cluster.reset()
        if self.copy:
            shutil.rmtree(self.copy, ignore_errors=True)
        else:
            shutil.rmtree(DATA, ignore_errors=True)
            if self.made_parent and DATA.parent.exists() and not os.listdir(DATA.parent):
                DATA.parent.rmdir()

    def kubectl(self, line, **options):
        return self.cluster.kubectl(line, **options)

    def create(self, name, verb="create"):
        return self.kubectl(f"{verb} -f {self.manifests}/{name}").ok().out

    def pods(self, selector):
        found = self.kubectl(f"get pods -l {selector} -o json").json()["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def ready(self, selector, count, seconds=90):
        def check():
            ready = [pod for pod in self.pods(selector) if any(
                each["type"] == "Ready" and each["status"] == "True" for each in pod.get("status", {}).get("conditions", []))]
            return ready if len(ready) == count else None
        return self.cluster.eventually(f"{count} pods ready of {selector}", check, seconds)

    def curl(self, *words, host="api.k8s"):
        command = ["curl", "-s", "-m", "10", "--noproxy", "*", "--resolve", f"{host}:80:{self.address}", *words]
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout

    def sql(self, text):
        """Asked in the database's own pod."""
        pod = self.ready("tier=database", 1)[0]["metadata"]["name"]
        return self.kubectl(["exec", pod, "--", "mysql", "-pmysql", "-N", "-e", text, "koa_sample"])


@pytest.fixture(scope="module")
def world():
    if os.geteuid() != 0:
        pytest.skip("containers need root")
    made = World()
    try:
        made.start()
        yield made
    finally:
        if os.environ.get("SKIFF_TEST_KEEP"):
            print(f"kept: {made.cluster.root}")
        else:
            made.stop()


def test_01_a_volume(world):
    assert "mysql-volume created" in world.create("1-volume.yaml")
    shown = world.kubectl("get pv").ok().out
    assert re.search(r"mysql-volume\s+5Gi\s+RWO\s+Retain\s+Available", shown), shown
    described = world.kubectl("describe pv/mysql-volume").ok().out
    for part in ("type=local", "HostPath", "5Gi", "Retain", "RWO"):
        assert part in described, described


def test_02_a_secret(world):
    world.create("2-secret.yaml")
    assert re.search(r"dbsecret\s+Opaque\s+3", world.kubectl("get secrets").ok().out)
    described = world.kubectl("describe secret/dbsecret").ok().out
    assert re.search(r"root_password:\s+5 bytes", described) and "mysql" not in described.split("Data")[1]


def test_03_the_database(world):
    out = world.create("3-database.yaml")
    for part in ("koa-sample-db created", "mysql-claim created"):
        assert part in out
    world.cluster.eventually("the claim is bound", lambda: re.search(
        r"mysql-claim\s+Bound\s+mysql-volume\s+5Gi\s+RWO", world.kubectl("get pvc").ok().out))
    world.ready("tier=database", 1)
    assert re.search(r"mysql-volume\s+5Gi\s+RWO\s+Retain\s+Bound\s+default/mysql-claim", world.kubectl("get pv").ok().out)
    pod = world.pods("tier=database")[0]["metadata"]["name"]
    # The server that makes the database, without a network, tells so too.
    world.cluster.eventually("the database takes connections", lambda: re.search(
        r"the database is made.*ready for connections", world.kubectl(f"logs {pod}").out, re.S), 60)


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command, environment):
        self.process, self.descriptor = pty.fork()
        if self.process == 0:
            os.execvpe(command[0], command, environment)
        self.seen = ""

    def expect(self, text, seconds=60, press_enter=False):
        """`press_enter`: what kubectl advises, as a prompt may have come before it was attached."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            if press_enter:
                while not select.select([self.descriptor], [], [], 2)[0] and time.monotonic() < deadline:
                    os.write(self.descriptor, b"\r")
            ready, _, _ = select.select([self.descriptor], [], [], max(0, deadline - time.monotonic()))
            try:
                content = os.read(self.descriptor, 65536) if ready else b""
            except OSError:   # the other side has closed
                content = b""
            assert content, f"'{text}' did not come; the terminal shows\n{self.seen}"
            self.seen += content.decode(errors="replace")

    def type(self, text):
        self.seen = ""
        os.write(self.descriptor, text.encode())

    def end(self, seconds=60):
        """Its exit status; what is still shown is read, so that it is not held up."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self.descriptor], [], [], 0.1)
            try:
                if ready:
                    self.seen += os.read(self.descriptor, 65536).decode(errors="replace")
            except OSError:
                pass
            done, status = os.waitpid(self.process, os.WNOHANG)
            if done:
                os.close(self.descriptor)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.process, 9)
        raise AssertionError(f"it does not end; the terminal shows\n{self.seen}")


def test_04_a_client_on_a_terminal(world):
    words = "run -it --rm --image=mysql:8.0.3 --restart=Never mysql-client -- mysql -h koa-sample-db -pmysql"
    terminal = Terminal(world.cluster.command(words), {**world.cluster.environment(), "TERM": "xterm"})
    terminal.expect("mysql> ", press_enter=True)
    terminal.type("show databases;\r")
    terminal.expect("koa_sample")
    terminal.expect("rows in set")
    terminal.type("exit\r")
    assert terminal.end() == 0, terminal.seen
    assert "deleted" in terminal.seen
    world.kubectl("get pod mysql-client").fails()


def test_05_the_application(world):
    world.create("4-application.yaml")
    world.ready("tier=application", 2)
    shown = world.kubectl("get deployments").ok().out
    assert re.search(r"koa-sample\s+2/2\s+2\s+2", shown), shown


def test_06_the_default_backend(world):
    world.create("5-default-backend.yaml")
    assert "exposed" in world.kubectl(
        "expose rc default-http-backend --port=80 --target-port=8080 --name=default-http-backend").ok().out
    world.ready("app=default-http-backend", 1)
    address = world.kubectl("get service default-http-backend -o jsonpath={.spec.clusterIP}").ok().out

    def status(path):
        return subprocess.run(["curl", "-s", "-m", "5", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}", f"http://{address}{path}"],
                              capture_output=True, text=True).stdout
    world.cluster.eventually("404 through the Service", lambda: status("/") == "404")
    assert status("/healthz") == "200"


def test_07_the_ingress_controller(world):
    assert "labeled" in world.kubectl(f"label nodes {world.node} role=front").ok().out
    world.create("6-ingress-controller.yaml")
    world.ready("k8s-app=nginx-ingress-lb", 1)
    world.cluster.eventually("the default backend answers on port 80",
                             lambda: world.curl(f"http://{world.address}/") == "default backend - 404")


def token(world):
    answer = world.curl("http://api.k8s/auth?username=admin&password=admin123")
    try:
        return json.loads(answer).get("token")
    except json.JSONDecodeError:
        return None


def test_08_the_ingress(world):
    world.create("7-ingress.yaml")
    assert re.search(r"koa-sample\s.*\*\.k8s", world.kubectl("get ing").ok().out)
    world.cluster.eventually("the application answers", lambda: token(world))


def test_09_from_outside(world):
    bearer = f"Authorization: Bearer {token(world)}"
    rows = json.loads(world.curl("-H", bearer, "http://api.k8s/members"))
    assert [row["username"] for row in rows] == ["ada", "grace", "alan", "admin"]
    assert "401" in world.curl("-o", "/dev/null", "-w", "%{http_code}", "http://api.k8s/members")
    assert world.curl("http://elsewhere.example/", host="elsewhere.example") == "default backend - 404"


def test_09_the_cookie_keeps_a_client_on_one_pod(world):
    def servers(*words):
        heads = world.curl("-D", "-", "-o", "/dev/null", *words, "http://api.k8s/healthz")
        return re.search(r"(?im)^x-served-by: (\S+)", heads)[1], re.search(r"(?im)^set-cookie: (route=[^;\s]+)", heads)
    first, cookie = servers()
    assert cookie, "no cookie was set"
    assert {servers("-H", f"Cookie: {cookie[1]}")[0] for _ in range(20)} == {first}
    assert len({servers()[0] for _ in range(40)}) == 2   # without it both are met


def test_09_a_browser(world):
    browser = Browser(f"MAP *.k8s {world.address}")
    try:
        browser.open("http://www.k8s/")
        browser.wait("document.querySelector('input[name=username]') !== null")
        browser.run("document.querySelector('input[name=username]').value = 'admin';"
                    "document.querySelector('input[name=password]').value = 'admin123';"
                    "document.querySelector('form').submit()")
        browser.wait("document.querySelector('#members') !== null")
        assert browser.run("document.querySelectorAll('#members tbody tr').length") == 4
        assert "Ada Lovelace" in browser.run("document.body.innerText")
        browser.screenshot(PROJECT / "build/screenshots/hands-on-2-members.png")
    finally:
        browser.close()


def test_10_the_rows_outlive_the_pod(world):
    world.sql("INSERT INTO members (username, name, email) VALUES ('kept', 'Kept Row', 'kept@example.com')").ok()
    gone = world.pods("tier=database")[0]["metadata"]["name"]
    world.kubectl(f"delete pod {gone}").ok()
    world.cluster.eventually("the row is there again", lambda: "Kept Row" in world.sql("SELECT name FROM members").out, 60)
    assert world.pods("tier=database")[0]["metadata"]["name"] != gone
    world.cluster.eventually("the application sees it", lambda: "Kept Row" in world.curl(
        "-H", f"Authorization: Bearer {token(world)}", "http://api.k8s/members"), 60)


def processes_of(pod, name):
    """Those of the pod's first container with that name."""
    container = pod["status"]["containerStatuses"][0]["containerID"].split("//")[1]
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (path / "comm").read_text().strip() == name and container in (path / "cgroup").read_text():
                found.append(int(path.name))
        except OSError:   # it has just ended
            pass
    return found


def test_10_a_killed_database_loses_no_row(world):
    script = ("for writer in 1 2 3; do (number=0; while :; do number=$((number + 1)); row=written-$writer-$number; "
              "mysql -h koa-sample-db -pmysql koa_sample -e \"INSERT INTO members (username, name, email) VALUES ('$row', 'w', '$row@example.com')\" "
              "2>/dev/null && echo $row || sleep 0.2; done) & done; wait")
    world.cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "writers"}, "spec": {
        "terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "mysql:8.0.3", "command": ["sh", "-c", script]}]}}).ok()
    try:
        def acknowledged():
            return world.kubectl("logs writers").out.split()
        world.cluster.eventually("rows are written", lambda: len(acknowledged()) > 30, 60)
        victims = processes_of(world.ready("tier=database", 1)[0], "mysqld")
        assert victims
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        before = len(acknowledged())
        world.cluster.eventually("rows are written again", lambda: len(acknowledged()) > before + 30, 60)
        rows = acknowledged()
        world.kubectl("delete pod writers --wait=false").ok()
        kept = set(world.sql("SELECT username FROM members WHERE username LIKE 'written-%'").ok().out.split())
        lost = [row for row in rows if row not in kept]
        assert not lost, f"{len(lost)} of {len(rows)} acknowledged rows are lost: {lost[:5]}"
        world.cluster.eventually("the application sees them", lambda: rows[0] in world.curl(
            "-H", f"Authorization: Bearer {token(world)}", "http://api.k8s/members"), 60)
    finally:
        world.kubectl("delete pod writers --wait=false")
        world.sql("DELETE FROM members WHERE username LIKE 'written-%'")


def test_10_and_the_deployment(world):
    world.kubectl("delete deployment koa-sample-db").ok()
    world.cluster.eventually("the database's pod goes with it", lambda: not world.kubectl("get pods -l tier=database -o name").out, 60)
    world.create("3-database.yaml", "apply")
    world.ready("tier=database", 1)
    world.cluster.eventually("the row is there again", lambda: "Kept Row" in world.sql("SELECT name FROM members").out, 60)


def test_11_an_update_under_load_through_the_ingress(world):
    world.cluster.eventually("the application answers", lambda: token(world))
    with Load(world.address, 80, "/healthz", {"Host": "api.k8s"}) as load:
        world.kubectl("set image deployment/koa-sample koa-sample=skiff/koa-sample:2").ok()
        assert "successfully rolled out" in world.kubectl("rollout status deployment/koa-sample --timeout=120s", timeout=150).ok().out
        updated = load.total
        world.cluster.eventually("some more answers", lambda: load.total > updated + 50)
    load.none_failed()
    assert re.search(r"(?im)^x-version: 2", world.curl("-D", "-", "-o", "/dev/null", "http://api.k8s/healthz"))
    history = world.kubectl("rollout history deployment/koa-sample").ok().out
    assert re.search(r"^1\s", history, re.M) and re.search(r"^2\s", history, re.M), history
    world.kubectl("rollout undo deployment/koa-sample").ok()
    world.kubectl("rollout status deployment/koa-sample --timeout=120s", timeout=150).ok()
    world.cluster.eventually("version 1 again", lambda: re.search(
        r"(?im)^x-version: 1", world.curl("-D", "-", "-o", "/dev/null", "http://api.k8s/healthz")))


def test_12_a_killed_nginx_costs_no_new_request(world):
    pod = world.ready("k8s-app=nginx-ingress-lb", 1)[0]
    with Load(world.address, 80, "/healthz", {"Host": "api.k8s"}) as load:
        world.cluster.eventually("some answers", lambda: load.total > 50)
        kills = []
        for which in (slice(1, 2), slice(0, 1), slice(None)):   # a worker, the master, all
            before = sorted(processes_of(pod, "nginx"))
            began = time.time()
            for victim in before[which]:
                os.kill(victim, signal.SIGKILL)
            world.cluster.eventually("others", lambda: set(processes_of(pod, "nginx")) - set(before))
            answered = load.total
            world.cluster.eventually("more answers", lambda: load.total > answered + 50)
            kills.append((began, time.time()))
    load.none_failed(kills)

"""The agent comes and goes while its containers stay; at rest it does nothing; a containerd of the user's own."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
from cluster import Cluster


@pytest.fixture
def without_agent(cluster):
    """Keeps the agent down: its supervisor sleeps."""
    supervisor = cluster.pid_of("supervisor")

    class Down:
        def __enter__(self):
            os.kill(supervisor, signal.SIGSTOP)
            agent = cluster.pid_of("agent")
            os.kill(agent, signal.SIGKILL)
            cluster.eventually("agent dead", lambda: pathlib.Path(f"/proc/{agent}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
                               if os.path.exists(f"/proc/{agent}") else True)

        def __exit__(self, *problem):
            os.kill(supervisor, signal.SIGCONT)
    return Down


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    c, sleep = space.container, "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    names = ("stays", "goes", "forced", "ends")
    space.create(*[space.pod(name, c("main", "while [ ! -e /tmp/end ]; do sleep 0.1; done; exit 5" if name == "ends" else sleep),
                             restartPolicy="Never" if name == "ends" else "Always") for name in names])
    for name in names:
        space.until_ready(name)


def test_what_happens_while_the_agent_is_down_is_made_up_for(space, without_agent):
    before = space.status_of("stays", "main")
    uids = {name: space.shown(name)["metadata"]["uid"] for name in ("goes", "forced")}
    space.run("ends", "(sleep 0.5; touch /tmp/end) >/dev/null 2>&1 &")
    with without_agent():
        space.kubectl("delete pod goes --wait=false").ok()
        space.kubectl("delete pod forced --grace-period=0 --force").ok()
        space.create(space.pod("comes", space.container("main", "sleep 600")))
    space.until_ready("comes")
    space.eventually("gone", lambda: space.shown("goes") == {})
    for name, uid in uids.items():
        space.eventually(f"nothing is left of {name}", lambda: not os.path.exists(f"{space.cluster.root}/agent/pods/{uid}")
                         and not os.path.exists(f"/var/log/pods/{space.name}_{name}_{uid}"))
    ended = space.until_phase("ends", "Failed")["status"]["containerStatuses"][0]
    assert ended["state"]["terminated"]["exitCode"] == 5 and ended["restartCount"] == 0
    after = space.status_of("stays", "main")
    assert (after["containerID"], after["restartCount"], after["state"]) == (before["containerID"], before["restartCount"], before["state"])
    assert space.run("stays", "echo fine") == "fine\n"


def test_a_container_that_dies_behind_the_runtimes_back_is_restarted(space):
    status = space.status_of("stays", "main")
    ident = status["containerID"].split("://")[1]
    shown = subprocess.run(["ctr", "-a", f"{space.cluster.root}/containerd/containerd.sock", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", ident],
                           capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    space.eventually("restarted", lambda: space.status_of("stays", "main").get("restartCount") == status["restartCount"] + 1)
    assert space.status_of("stays", "main")["lastState"]["terminated"]["exitCode"] == 137


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_nothing_polls():
    """A cluster of its own with a pod in it, left alone: its parts sleep. Counted in processor time, so others' load is no matter."""
    cluster = Cluster()
    try:
        cluster.up().import_images()
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "idle"}, "spec": {"containers": [
            {"name": "main", "image": "busybox:1.35", "command": ["sleep", "600"]}]}}).ok()
        cluster.wait_ready("idle")
        pids = {part: cluster.pid_of(part) for part in ("agent", "server", "supervisor")}
        for attempt in range(3):   # the first seconds may still hold some of the start
            before, began = {part: cpu_seconds(pid) for part, pid in pids.items()}, time.monotonic()
            time.sleep(10)
            passed = time.monotonic() - began
            used = {part: (cpu_seconds(pid) - before[part]) / passed for part, pid in pids.items()}
            if used["agent"] < 0.005 and sum(used.values()) < 0.01:
                break
        assert used["agent"] < 0.005 and sum(used.values()) < 0.01, used
    finally:
        cluster.reset().ok()


def test_a_containerd_that_the_user_runs_is_used_and_left_alone(cluster):
    own = cluster
    folder = tempfile.mkdtemp(prefix="skiff-own-")
    plugins = next((path for path in ("/usr/lib/cni", "/opt/cni/bin") if os.path.isdir(path)), "/opt/cni/bin")
    config = pathlib.Path(folder, "config.toml")
    config.write_text(f'''version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "skiff.local/pause:1"   # there is no registry to get another from
  restrict_oom_score_adj = true           # not every machine's root may lower it
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{plugins}"
  conf_dir = "{folder}/cni"
''')
    os.mkdir(f"{folder}/cni")   # its network is its owner's too
    pathlib.Path(folder, "cni/10-own.conflist").write_text(json.dumps({"cniVersion": "0.4.0", "name": "skiff-own", "plugins": [
        {"type": "ptp", "ipam": {"type": "host-local", "dataDir": f"{folder}/addresses", "ranges": [[{"subnet": "198.18.77.0/24"}]],
                                 "routes": [{"dst": "0.0.0.0/0"}]}}]}))
    log = open(f"{folder}/log", "w")
    runtime = subprocess.Popen(["containerd", "--config", str(config)], stdout=log, stderr=log)
    cluster = Cluster(["--container-runtime-endpoint", f"{folder}/containerd.sock"])
    try:
        cluster.eventually("containerd", lambda: os.path.exists(f"{folder}/containerd.sock"))
        for words in ((f"{own.root}/containerd", "export", f"{folder}/pause.tar", "skiff.local/pause:1"), (folder, "import", f"{folder}/pause.tar")):
            subprocess.run(["ctr", "-a", f"{words[0]}/containerd.sock", "-n", "k8s.io", "images", *words[1:]], check=True, capture_output=True)
        cluster.up().import_images()
        assert not os.path.exists(f"{cluster.root}/run/containerd.pid")
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "there"}, "spec": {"containers": [
            {"name": "main", "image": "busybox:1.35", "command": ["sleep", "600"]}], "terminationGracePeriodSeconds": 1}}).ok()
        cluster.wait_ready("there")
        assert cluster.kubectl("get pod there -o jsonpath={.status.podIP}").ok().out.startswith("198.18.77.")
        assert cluster.kubectl("exec there -- echo in").ok().out == "in\n"
    finally:
        cluster.reset()
        assert runtime.poll() is None, "reset ended the user's containerd"
        runtime.terminate()
        runtime.wait(20)
        log.close()
        subprocess.run(f"grep ' {folder}/' /proc/mounts | cut -d' ' -f2 | sort -r | xargs -r umount -l", shell=True)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_pod_replaced_under_its_name_is_the_new_one(space):
    """A forced delete and a create at once: the old containers go, the new pod gets its own."""
    space.create(space.pod("twice", space.container("main", "hostname > /dev/null; echo old; sleep 600")))
    old = space.until_ready("twice")
    space.kubectl("delete pod twice --grace-period=0 --force --wait=false").ok()
    space.create(space.pod("twice", space.container("main", "echo new; sleep 600")))
    new = space.until_ready("twice")
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert space.log("twice") == "new\n"
    first, second = (pod["status"]["containerStatuses"][0]["containerID"] for pod in (old, new))
    assert first != second

    def folders():
        return list(pathlib.Path("/var/log/pods").glob(f"{space.name}_twice_{old['metadata']['uid']}*"))
    space.eventually("the old pod's logs are gone", lambda: not folders())

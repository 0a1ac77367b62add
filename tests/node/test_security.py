"""securityContext, namespaces, and the resources of containers as cgroups."""
import os
import pathlib

import pytest

CGROUPS = pathlib.Path("/sys/fs/cgroup")
V2 = (CGROUPS / "cgroup.controllers").exists()


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    def c(name, command="sleep 600", security=None, **fields):
        return space.container(name, command, **({"securityContext": security} if security else {}), **fields)

    def resources(limits, requests=None):
        def both(pair):
            return dict(zip(("cpu", "memory"), pair))
        return {"limits": both(limits), **({"requests": both(requests)} if requests else {})}

    user = {"runAsUser": 1000, "runAsGroup": 3000}
    space.create(
        space.pod("users", c("main"), c("own", security={"runAsUser": 1001}), c("escalates", security={"allowPrivilegeEscalation": True}),
                  securityContext={**user, "supplementalGroups": [4000, 5000], "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}),
        space.pod("caps", c("plain"), c("add", security={"capabilities": {"add": ["NET_ADMIN", "SYS_TIME"]}}),
                  c("drop", security={"capabilities": {"drop": ["ALL"]}}),
                  c("one", security={"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}),
                  c("locked", security={"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}),
                  c("privileged", security={"privileged": True}),
                  c("filtered", security={"seccompProfile": {"type": "RuntimeDefault"}}),
                  c("free", security={"seccompProfile": {"type": "Unconfined"}})),
        space.pod("root-refused", c("main"), securityContext={"runAsNonRoot": True}),
        space.pod("zero-refused", c("main", security={"runAsUser": 0, "runAsNonRoot": True})),
        space.pod("shared", c("main", "sleep 611"), c("other", "sleep 612"), shareProcessNamespace=True),
        space.pod("apart", c("main", "sleep 613"), c("other", "sleep 614")),
        space.pod("host", c("main", "sleep 615"), hostPID=True, hostNetwork=True, hostIPC=True),
        space.pod("sysctls", c("main"), securityContext={"sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "40000 50000"}]}),
        space.pod("guaranteed", c("main", resources=resources(("200m", "40Mi")))),
        space.pod("burstable", c("main", resources=resources(("500m", "50Mi"), ("100m", "20Mi"))), c("none")),
        space.pod("best-effort", c("main")),
        space.pod("oom", c("main", "dd if=/dev/zero of=/dev/null bs=200M count=1; exit 1", resources={"limits": {"memory": "16Mi"}}),
                  restartPolicy="Never"),
        space.pod("oom-main", c("main", "exec dd if=/dev/zero of=/dev/null bs=200M count=1", resources={"limits": {"memory": "16Mi"}}),
                  restartPolicy="Never"))


def status(space, pod, container=None):
    """The fields of the first process' /proc/PID/status."""
    text = space.run(pod, "cat /proc/1/status", container)
    return {line.split(":", 1)[0]: line.split(":", 1)[1].split() for line in text.splitlines()}


def test_users_and_groups(space):
    space.until_ready("users")
    main = status(space, "users", "main")
    assert main["Uid"] == ["1000"] * 4 and main["Gid"] == ["3000"] * 4
    assert {"4000", "5000"} <= set(main["Groups"]) and "0" not in main["Groups"]
    assert status(space, "users", "own")["Uid"][0] == "1001"
    assert main["Seccomp"] == ["2"] and main["NoNewPrivs"] == ["0"]
    assert int(main["CapEff"][0], 16) == 0


def test_root_is_refused_where_it_may_not_be(space):
    for name, message in (("root-refused", "container has runAsNonRoot and image will run as root"),
                          ("zero-refused", "container's runAsUser breaks non-root policy")):
        def waits():
            state = space.status_of(name, "main").get("state", {}).get("waiting", {})
            return state if state.get("reason") == "CreateContainerConfigError" else None
        assert message in space.eventually("refused", waits)["message"]


def test_capabilities(space):
    space.until_ready("caps")

    def effective(container):
        return int(status(space, "caps", container)["CapEff"][0], 16)
    net_admin, sys_time, bind = 1 << 12, 1 << 25, 1 << 10
    plain = effective("plain")
    assert plain == 0xa80425fb   # the runtime's own choice
    assert effective("add") == plain | net_admin | sys_time
    assert effective("drop") == 0 and effective("one") == bind
    assert effective("privileged") & plain == plain and effective("privileged") & net_admin


def test_root_file_system_privileges_and_seccomp(space):
    space.until_ready("caps")
    locked = status(space, "caps", "locked")
    assert locked["NoNewPrivs"] == ["1"]
    assert "Read-only file system" in space.run("caps", "touch /x 2>&1; true", "locked")
    assert space.run("caps", "touch /x && echo written", "plain") == "written\n"
    assert status(space, "caps", "filtered")["Seccomp"] == ["2"]
    for free in ("plain", "free", "privileged"):
        assert status(space, "caps", free)["Seccomp"] == ["0"], free
    devices = [int(space.run("caps", "ls /dev | wc -l", name)) for name in ("plain", "privileged")]
    assert devices[1] > devices[0] + 10
    assert "Read-only" in space.run("caps", "echo 1 2>&1 > /proc/sys/kernel/sysrq; true", "plain") + \
        space.kubectl(["exec", "caps", "-c", "plain", "--", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]).err
    assert space.run("caps", "cat /proc/kcore 2>/dev/null | head -c 8 | wc -c", "plain") == "0\n"


def test_process_namespaces(space):
    for name in ("shared", "apart", "host"):
        space.until_ready(name)
    shared = space.run("shared", "ps -o args", "main")
    assert "sleep 611" in shared and "sleep 612" in shared and "pause" in shared
    apart = space.run("apart", "ps -o args", "main")
    assert "sleep 613" in apart and "sleep 614" not in apart
    assert int(space.run("host", "ls -d /proc/[0-9]* | wc -l")) > 20
    for kind in ("net", "pid", "ipc"):
        assert space.run("host", f"readlink /proc/self/ns/{kind}").strip() == os.readlink(f"/proc/self/ns/{kind}"), kind
        assert space.run("apart", f"readlink /proc/self/ns/{kind}", "main").strip() != os.readlink(f"/proc/self/ns/{kind}"), kind
    host = space.shown("host")["status"]
    assert host["podIP"] == host["hostIP"]


def test_sysctls_of_a_pod(space):
    space.until_ready("sysctls")
    assert space.run("sysctls", "cat /proc/sys/net/ipv4/ip_local_port_range").split() == ["40000", "50000"]


def cgroup_of(space, pod, container, controller):
    """The folder of a container, found by its id."""
    wanted = space.status_of(pod, container)["containerID"].split("://")[1]
    below = CGROUPS if V2 else CGROUPS / controller
    found = [path for path in below.rglob(f"*{wanted}*") if path.is_dir()]
    assert len(found) == 1, found
    return found[0]


def may_lower_oom_score():
    """Lowering it needs CAP_SYS_RESOURCE, which not every machine's root has."""
    effective = next(line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    return bool(int(effective.split()[1], 16) >> 24 & 1)


def value(folder, name):
    return (folder / name).read_text().strip()


def test_qos_classes_and_their_cgroups(space):
    for name, qos, part in (("guaranteed", "Guaranteed", None), ("burstable", "Burstable", "burstable"), ("best-effort", "BestEffort", "besteffort")):
        pod = space.until_ready(name)
        assert pod["status"]["qosClass"] == qos
        folder = cgroup_of(space, name, "main", "memory")
        parts = folder.relative_to(CGROUPS).parts
        assert parts[-2] == f"pod{pod['metadata']['uid']}", parts
        assert (parts[-3] == part) if part else parts[-3].startswith("skiff-"), parts


@pytest.mark.skipif(V2, reason="cgroup v1 file names")
def test_resources_are_cgroup_values(space):
    for name in ("guaranteed", "burstable", "best-effort"):
        space.until_ready(name)
    cpu, memory = cgroup_of(space, "guaranteed", "main", "cpu"), cgroup_of(space, "guaranteed", "main", "memory")
    assert (value(cpu, "cpu.shares"), value(cpu, "cpu.cfs_quota_us"), value(cpu, "cpu.cfs_period_us")) == ("204", "20000", "100000")
    assert value(memory, "memory.limit_in_bytes") == str(40 << 20)
    assert (value(cpu.parent, "cpu.shares"), value(cpu.parent, "cpu.cfs_quota_us")) == ("204", "20000")
    assert value(memory.parent, "memory.limit_in_bytes") == str(40 << 20)
    cpu, memory = cgroup_of(space, "burstable", "main", "cpu"), cgroup_of(space, "burstable", "main", "memory")
    assert (value(cpu, "cpu.shares"), value(cpu, "cpu.cfs_quota_us")) == ("102", "50000")
    assert value(memory, "memory.limit_in_bytes") == str(50 << 20)
    assert value(cpu.parent, "cpu.cfs_quota_us") == "-1"   # the other container has no limit
    cpu = cgroup_of(space, "best-effort", "main", "cpu")
    assert (value(cpu, "cpu.shares"), value(cpu, "cpu.cfs_quota_us")) == ("2", "-1")
    scores = {name: int(space.run(name, "cat /proc/1/oom_score_adj", "main")) for name in ("guaranteed", "burstable", "best-effort")}
    lowest = -997 if may_lower_oom_score() else int(pathlib.Path("/proc/self/oom_score_adj").read_text())
    assert scores["guaranteed"] == lowest and scores["best-effort"] == 1000 and 2 < scores["burstable"] < 1000


def test_a_container_over_its_memory_is_killed_and_says_so(space):
    ended = space.until_phase("oom-main", "Failed")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["reason"] == "OOMKilled" and ended["exitCode"] == 137
    ended = space.until_phase("oom", "Failed")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] != 0 and ended["reason"] in ("OOMKilled", "Error")

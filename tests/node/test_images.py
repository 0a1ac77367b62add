"""Which image is used when: pull policies, registries that cannot be reached, imported and pulled images."""
import subprocess

import pytest

DEAD = "localhost:1"   # nobody listens: a registry that cannot be reached


@pytest.fixture(scope="module")
def ctr(cluster):
    def run(*words):
        done = subprocess.run(["ctr", "-a", f"{cluster.root}/containerd/containerd.sock", "-n", "k8s.io", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


@pytest.fixture(scope="module", autouse=True)
def pods(space, ctr):
    # As if it had been pulled: there, but not imported.
    ctr("images", "tag", "docker.io/library/busybox:latest", f"{DEAD}/pulled:latest")

    def pod(name, image, policy=None):
        made = space.pod(name, space.container("main", "echo ran"), restartPolicy="Never")
        made["spec"]["containers"][0]["image"] = image
        if policy:
            made["spec"]["containers"][0]["imagePullPolicy"] = policy
        return made
    space.create(
        pod("latest", "busybox"), pod("always", "busybox:1.35", "Always"), pod("present", "busybox:1.35"),
        pod("never-there", "busybox", "Never"), pod("never", f"{DEAD}/absent:v1", "Never"), pod("absent", f"{DEAD}/absent:v1", "IfNotPresent"),
        pod("pulled", f"{DEAD}/pulled:latest"), pod("pulled-present", f"{DEAD}/pulled:latest", "IfNotPresent"),
        pod("bad-name", "Not/A/Name:x"))


def waits(space, name, *reasons):
    def check():
        state = space.status_of(name, "main").get("state", {}).get("waiting", {})
        return state if state.get("reason") in reasons else None
    return space.eventually(f"{name} {reasons}", check)


@pytest.mark.parametrize("name, image", [("latest", "busybox"), ("always", "busybox:1.35")])
def test_an_imported_image_stands_in_for_a_registry_that_cannot_be_reached_and_that_is_said(space, name, image):
    space.until_phase(name, "Succeeded")
    told = space.until_event(name, "ImportedImageUsed")
    assert told == f'Registry docker.io cannot be reached: using image "{image}" that was imported on this node'
    assert space.shown(name)["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert space.shown(name)["status"]["containerStatuses"][0]["imageID"]


def test_what_is_present_is_used_without_asking(space):
    for name in ("present", "never-there", "pulled-present"):
        space.until_phase(name, "Succeeded")
        space.until_event(name, "Pulled", "already present on machine")
        assert not {"Pulling", "ImportedImageUsed"} & {reason for reason, _ in space.events(name)}


def test_an_image_that_was_only_pulled_never_stands_in(space):
    waits(space, "pulled", "ErrImagePull", "ImagePullBackOff")
    waits(space, "pulled", "ImagePullBackOff")
    assert "ImportedImageUsed" not in {reason for reason, _ in space.events("pulled")}


def test_an_absent_image_is_pulled_in_vain(space):
    message = waits(space, "absent", "ImagePullBackOff")["message"]
    assert message.startswith(f'Back-off pulling image "{DEAD}/absent:v1"')
    space.until_event("absent", "Pulling", f'Pulling image "{DEAD}/absent:v1"')
    space.until_event("absent", "Failed", f'Failed to pull image "{DEAD}/absent:v1"')
    space.until_event("absent", "Failed", "Error: ErrImagePull")
    space.until_event("absent", "BackOff", f'Back-off pulling image "{DEAD}/absent:v1"')
    assert "ImagePullBackOff" in space.kubectl("get pod absent").ok().out


def test_never_means_never(space):
    message = waits(space, "never", "ErrImageNeverPull")["message"]
    assert message == f'Container image "{DEAD}/absent:v1" is not present with pull policy of Never'
    space.until_event("never", "ErrImageNeverPull")
    assert "Pulling" not in {reason for reason, _ in space.events("never")}


def test_a_name_that_is_none(space):
    waits(space, "bad-name", "InvalidImageName")
    space.until_event("bad-name", "InspectFailed", "Failed to apply default image tag")


def test_imported_images_are_pinned_and_listed_as_such(cluster, ctr):
    pinned = ctr("images", "list", "name==docker.io/library/busybox:latest")
    assert "io.cri-containerd.pinned=pinned" in pinned
    shown = cluster.skiff("image", "list").ok().out
    lines = {line.split()[0]: line.split()[-1] for line in shown.splitlines() if line}
    assert lines["docker.io/library/busybox:latest"] == "imported" and lines[f"{DEAD}/pulled:latest"] == "pulled"


def test_the_node_lists_its_images(cluster):
    def names():
        node = cluster.kubectl("get nodes -o json").json()["items"][0]
        return {name for image in node["status"].get("images", []) for name in image["names"]}
    cluster.eventually("listed", lambda: "docker.io/library/busybox:latest" in names(), 15)

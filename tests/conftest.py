import itertools
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from cluster import Cluster  # noqa: E402


@pytest.fixture(scope="session")
def cluster():
    if os.geteuid() != 0:
        pytest.skip("containers need root")
    made = Cluster()
    try:
        yield made.up().import_images()
    finally:
        if os.environ.get("SKIFF_TEST_KEEP"):
            print(f"kept: {made.root}")
        else:
            made.reset()


NUMBERS = itertools.count(1)


@pytest.fixture
def namespace(cluster, request):
    """A namespace of the test's own; numbered, for names are cut and the one before may still be going."""
    name = "t-" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:40].strip("-") + f"-{next(NUMBERS)}"
    cluster.kubectl(f"create namespace {name}").ok()
    cluster.eventually("default service account", lambda: cluster.kubectl(f"get sa default -n {name}").code == 0)
    yield name
    cluster.kubectl(f"delete namespace {name} --wait=false")

"""The official JavaScript client on node: javascript/client.test.js, with the modules that ./x installed."""
import os
import pathlib
import shutil
import subprocess

import pytest
from cluster import PROJECT, pod

HERE = pathlib.Path(__file__).resolve().parent / "javascript"
INSTALLED = PROJECT / "build/clients/javascript"


def test_the_javascript_client(cluster, namespace):
    if not (INSTALLED / "complete").exists():
        pytest.skip("./x clients has not installed its modules")
    page = "mkdir /www && echo from-the-pod > /www/index.html && echo started && exec httpd -f -p 8080 -h /www"
    web = pod("web", page)
    web["metadata"]["namespace"] = namespace
    cluster.apply(web).ok()
    cluster.wait_ready("web", namespace=namespace)
    # Modules are looked for from where the program lies.
    program = shutil.copy(HERE / "client.test.js", INSTALLED)
    done = subprocess.run(["node", "--test", program], capture_output=True, text=True, timeout=300, cwd=INSTALLED,
                          env={**os.environ, "KUBECONFIG": cluster.kubeconfig, "NAMESPACE": namespace})
    assert done.returncode == 0, done.stdout + done.stderr

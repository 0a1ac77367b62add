"""The application of examples/hands-on-2: Koa, mysql2 and JSON web tokens on Debian's nodejs. Two versions, for updates:
skiff/koa-sample:1 and :2 differ in what they tell of themselves."""
import hashlib
import pathlib
import shutil
import subprocess

import debian
from oci import Image, Layer

app = pathlib.Path(__file__).resolve().parent / "app"
PROGRAM = ("package.json", "server.js", "database.js", "pages.js")


def modules():
    """What package-lock.json names, from the npm registry; kept until the lock changes."""
    lock = (app / "package-lock.json").read_bytes()
    folder = debian.cache / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(app / name, folder / name)
        done = subprocess.run(["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"],
                              cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"images: npm ci failed\n{done.stdout}{done.stderr}")
        (folder / "node_modules" / ".package-lock.json").unlink(missing_ok=True)
        (folder / "complete").touch()
    return folder / "node_modules"


def build():
    layer = Layer()
    layer.tree(modules(), "app/node_modules")
    layers = [*debian.packages("nodejs"), layer]
    images = []
    for version in ("1", "2"):
        image = Image([f"docker.io/skiff/koa-sample:{version}"], layers)
        for name in PROGRAM:
            image.copy(app / name, f"app/{name}", 0o644)
        image.config = {"Entrypoint": ["node", "/app/server.js"], "WorkingDir": "/app", "User": "65534:65534",
                        "ExposedPorts": {"3000/tcp": {}},
                        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "NODE_ENV=production", f"VERSION={version}"]}
        images.append(image)
    return images

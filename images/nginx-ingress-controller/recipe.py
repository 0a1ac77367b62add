"""The ingress controller as manifests of 2017 ask for it: Skiff's (src/ingress/program, as the release build makes it) with
Debian's nginx, run as `/nginx-ingress-controller --default-backend-service=NAMESPACE/NAME` by the service account of its pod."""
import pathlib

import debian
from oci import Image

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "build/release/nginx-ingress-controller"
MADE_OF = (PROGRAM,)   # what else the image changes with


def build():
    if not PROGRAM.exists():
        raise SystemExit(f"images: {PROGRAM} is not built: `./x images` does that first")
    names = [f"{registry}/nginx-ingress-controller:0.9.0-beta.15" for registry in ("gcr.io/google_containers", "k8s.gcr.io")]
    image = Image(names, debian.packages("nginx-light", "libnginx-mod-http-lua", "libnghttp2-14", "libssl3", "libstdc++6"))
    debian.add_user(image, "www-data", 33, "/var/www")
    image.copy(PROGRAM, "nginx-ingress-controller", 0o755)
    image.folder("var/log/nginx")
    image.folder("var/lib/nginx")
    image.config = {"Cmd": ["/nginx-ingress-controller"], "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
                    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    return image

"""The database: Debian's MariaDB server and client, with the contract of the official mysql image (entrypoint.sh)."""
import pathlib

import debian
from oci import Image

here = pathlib.Path(__file__).resolve().parent


def build():
    image = Image([f"docker.io/library/mysql:{tag}" for tag in ("8.0.3", "8.0", "5.7", "latest")],
                  debian.packages("mariadb-server-core", "mariadb-client-core", "ncurses-base"))
    debian.add_user(image, "mysql", 999, "/var/lib/mysql")
    image.copy(here / "entrypoint.sh", "usr/local/bin/docker-entrypoint.sh", 0o755)
    image.link("entrypoint.sh", "usr/local/bin/docker-entrypoint.sh")
    image.copy(here / "my.cnf", "etc/mysql/my.cnf", 0o644)
    image.folder("etc/mysql/conf.d")
    image.folder("docker-entrypoint-initdb.d")
    image.folder("var/lib/mysql", 0o755, 999, 999)
    image.folder("run/mysqld", 0o777, 999, 999)
    image.config = {"Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["mysqld"], "ExposedPorts": {"3306/tcp": {}},
                    "Volumes": {"/var/lib/mysql": {}},
                    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]}
    return image

"""The images of images/ keep the contracts of those whose names they carry."""
import urllib.error
import urllib.request

import pytest

PASSWORD = "it's \\ odd"


@pytest.fixture(scope="module", autouse=True)
def pods(space):
    space.cluster.import_images("mysql", "default-backend", "echo")
    database = space.pod("database", {
        "name": "main", "image": "mysql:8.0.3", "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/mysql"}, {"name": "init", "mountPath": "/docker-entrypoint-initdb.d"}],
        "env": [{"name": name, "value": value} for name, value in (
            ("MYSQL_ROOT_PASSWORD", PASSWORD), ("MYSQL_USER", "somebody"), ("MYSQL_PASSWORD", "pass"), ("MYSQL_DATABASE", "my_app"))]},
        volumes=[{"name": "data", "emptyDir": {}}, {"name": "init", "configMap": {"name": "init"}}], terminationGracePeriodSeconds=30)
    space.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "init"}, "data": {
            "1.sql": "CREATE TABLE t (a INT); INSERT INTO t VALUES (7);", "2.sh": "\"${mysql[@]}\" -e 'INSERT INTO t VALUES (8)'\n",
            "3.txt": "not for the database"}},
        database,
        space.pod("no-password", {"name": "main", "image": "mysql:8.0.3"}, restartPolicy="Never"),
        space.pod("backend", {"name": "main", "image": "gcr.io/google_containers/defaultbackend:1.0", "resources": {
            "limits": {"cpu": "10m", "memory": "20Mi"}}, "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "timeoutSeconds": 5}}),
        space.pod("echo", {"name": "main", "image": "skiff/echo:2"}))


def asked(space, pod, path, port=8080):
    address = space.eventually(f"{pod} has an address", lambda: space.shown(pod).get("status", {}).get("podIP"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answer():
        try:
            with opener.open(f"http://{address}:{port}{path}", timeout=5) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return None
    return space.eventually(f"{pod} answers", answer, 60)


def test_the_default_backend(space):
    assert asked(space, "backend", "/any/where") == (404, "default backend - 404")
    assert asked(space, "backend", "/healthz") == (200, "ok")


def test_echo_tells_version_and_host(space):
    assert asked(space, "echo", "/") == (200, "2 echo\n")


def test_no_password_is_refused(space):
    space.eventually("it fails", lambda: space.phase("no-password") == "Failed", 60)
    assert "MYSQL_ROOT_PASSWORD" in space.kubectl("logs no-password").ok().out


def sql(space, text, *words):
    done = space.kubectl(["exec", "database", "--", "mysql", "-h", "127.0.0.1", *words, "-N", "-e", text])
    return done.out.split() if done.code == 0 else None


def test_the_database_is_made_as_told_and_kept(space):
    root = [f"-p{PASSWORD}"]
    assert space.eventually("the rows", lambda: sql(space, "SELECT a FROM my_app.t ORDER BY a", *root), 90) == ["7", "8"]
    assert sql(space, "SELECT current_user()", "-usomebody", "-ppass", "my_app") == ["somebody@%"]
    assert sql(space, "SELECT 1 FROM mysql.user", "-usomebody", "-ppass") is None   # only its own database
    assert sql(space, "SELECT 1", "-pwrong") is None
    assert "Uid:\t999" in space.kubectl("exec database -- cat /proc/1/status").ok().out
    # Another life of the container finds the data.
    sql(space, "INSERT INTO my_app.t VALUES (9)", *root)
    space.run("database", "kill 1")
    space.eventually("a restart", lambda: space.status_of("database", "main").get("restartCount", 0) == 1)
    assert space.eventually("the rows", lambda: sql(space, "SELECT a FROM my_app.t ORDER BY a", *root), 60) == ["7", "8", "9"]
    assert "making a new database" not in space.kubectl("logs database").ok().out
    previous = space.kubectl("logs database --previous").ok().out
    assert "passing over /docker-entrypoint-initdb.d/3.txt" in previous and "Shutdown complete" in previous

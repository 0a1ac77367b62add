#!/bin/bash
# Starts the database, and makes it first where the data folder is empty. The contract is that of the official mysql image:
# MYSQL_ROOT_PASSWORD (or MYSQL_ALLOW_EMPTY_PASSWORD, MYSQL_RANDOM_ROOT_PASSWORD), MYSQL_ROOT_HOST, MYSQL_DATABASE,
# MYSQL_USER with MYSQL_PASSWORD, each also as NAME_FILE; files of /docker-entrypoint-initdb.d run once, in order.
#
# A first start that is killed half-way leaves no half database: all is made in a folder of its own below the data folder, told
# complete, and only then moved into place; "mysql", which tells that there is a database, comes last.
set -eo pipefail
shopt -s nullglob

data=/var/lib/mysql
run=/run/mysqld
making=$data/.making

say() { printf '%s [entrypoint] %s\n' "$(date -u +%FT%TZ)" "$*" >&2; }

# NAME, or what the file says that NAME_FILE names.
setting() {
    local file=$1_FILE
    if [ -n "${!file:-}" ]; then
        [ -z "${!1:-}" ] || { say "both $1 and $file are set: only one may be"; exit 1; }
        export "$1=$(<"${!file}")"
        unset "$file"
    fi
}

# A text as SQL writes it.
sql_text() { local text=${1//\\/\\\\}; printf "'%s'" "${text//\'/\\\'}"; }
sql_name() { printf '`%s`' "${1//\`/\`\`}"; }

as_mysql=()
own() {
    if [ "$(id -u)" = 0 ]; then
        as_mysql=(--user=mysql)
        mkdir -p "$run"
        find "$data" "$run" \! -user mysql -exec chown mysql:mysql '{}' +
    fi
}

docker_process_sql() { "${mysql[@]}" "$@"; }

run_init_files() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) say "running $file"; if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) say "running $file"; "${mysql[@]}" <"$file" ;;
            *.sql.gz) say "running $file"; gzip -dc "$file" | "${mysql[@]}" ;;
            *) say "passing over $file" ;;
        esac
    done
}

initialise() {
    setting MYSQL_ROOT_PASSWORD; setting MYSQL_DATABASE; setting MYSQL_USER; setting MYSQL_PASSWORD
    if [ -z "${MYSQL_ROOT_PASSWORD:-}${MYSQL_ALLOW_EMPTY_PASSWORD:-}${MYSQL_RANDOM_ROOT_PASSWORD:-}" ]; then
        say "the database is not initialised and there is no password option:" \
            "set MYSQL_ROOT_PASSWORD, MYSQL_ALLOW_EMPTY_PASSWORD or MYSQL_RANDOM_ROOT_PASSWORD"
        exit 1
    fi
    if [ -n "${MYSQL_RANDOM_ROOT_PASSWORD:-}" ]; then
        MYSQL_ROOT_PASSWORD=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')
        say "GENERATED ROOT PASSWORD: $MYSQL_ROOT_PASSWORD"
    fi
    say "making a new database"
    local server=
    trap '[ -z "$server" ] || kill "$server"; exit 143' TERM INT   # the first process of a pod has no defaults
    rm -rf "$making"
    mkdir "$making"
    own
    mariadb-install-db "${as_mysql[@]}" --datadir="$making" --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=normal >"$run/install.log" 2>&1 || { cat "$run/install.log" >&2; exit 1; }

    local socket=$run/making.sock
    mysqld "${as_mysql[@]}" --datadir="$making" --skip-networking --socket="$socket" --pid-file="$run/making.pid" &
    server=$!
    mysql=(mysql --protocol=socket -uroot --socket="$socket")
    local try
    for try in $(seq 300); do
        "${mysql[@]}" -e 'SELECT 1' >/dev/null 2>&1 && break
        kill -0 $server 2>/dev/null || { say "the database did not start"; exit 1; }
        sleep 0.1
    done

    local host=${MYSQL_ROOT_HOST-%}
    {
        echo "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost'); FLUSH PRIVILEGES;"
        echo "SET PASSWORD FOR root@localhost = PASSWORD($(sql_text "${MYSQL_ROOT_PASSWORD:-}"));"
        if [ -n "$host" ] && [ "$host" != localhost ]; then
            echo "CREATE USER root@$(sql_text "$host") IDENTIFIED BY $(sql_text "${MYSQL_ROOT_PASSWORD:-}");"
            echo "GRANT ALL ON *.* TO root@$(sql_text "$host") WITH GRANT OPTION;"
        fi
        if [ -n "${MYSQL_DATABASE:-}" ]; then echo "CREATE DATABASE IF NOT EXISTS $(sql_name "$MYSQL_DATABASE");"; fi
        if [ -n "${MYSQL_USER:-}" ] && [ -n "${MYSQL_PASSWORD:-}" ] && [ "$MYSQL_USER" != root ]; then
            echo "CREATE USER $(sql_text "$MYSQL_USER")@'%' IDENTIFIED BY $(sql_text "$MYSQL_PASSWORD");"
            if [ -n "${MYSQL_DATABASE:-}" ]; then
                echo "GRANT ALL ON $(sql_name "${MYSQL_DATABASE//_/\\_}").* TO $(sql_text "$MYSQL_USER")@'%';"
            fi
        fi
    } | "${mysql[@]}"
    # The password by environment: arguments can be read by everyone in the pod.
    export MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-}
    if [ -n "${MYSQL_DATABASE:-}" ]; then mysql+=("$MYSQL_DATABASE"); fi
    run_init_files
    unset MYSQL_PWD

    kill -TERM $server
    wait $server || { say "the database did not stop cleanly"; exit 1; }
    sync
    touch "$making/.complete"
    trap - TERM INT
}

move_into_place() {
    local entry
    for entry in "$making"/*; do [ "${entry##*/}" = mysql ] || mv "$entry" "$data/"; done
    sync
    mv "$making/mysql" "$data/"
    rm -rf "$making"
    say "the database is made"
}

if [ $# = 0 ] || [ "${1#-}" != "$1" ]; then set -- mysqld "$@"; fi
case $1 in
    mysqld | mariadbd)
        program=$1; shift
        own
        if [ ! -d "$data/mysql" ]; then
            [ -e "$making/.complete" ] || initialise
            move_into_place
        fi
        exec "$program" "${as_mysql[@]}" "$@"
        ;;
esac
exec "$@"

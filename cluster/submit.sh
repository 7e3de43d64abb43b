#!/usr/bin/env bash
# Submit a search to a running Ray cluster and follow its log until it ends.
set -euo pipefail

here=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'END'
usage: cluster/submit.sh [--address URL] [--runtime-env FILE] [--no-wait] [SPACE] [option of the search]...

  cluster/submit.sh search_spaces/letter.toml --storage s3://bucket/results --name letter

  --address URL       the cluster's dashboard; else RAY_API_SERVER_ADDRESS, RAY_ADDRESS, http://127.0.0.1:8265
  --runtime-env FILE  what the nodes need beside Ray; else cluster/runtime_env.yaml
  --no-wait           submit and return; the lines printed say how to follow and how to stop the job

Everything after these goes to `python -m distill_tune.search` unchanged. The current folder travels to the cluster
without what .gitignore and .rayignore name; paths in it are relative to it, all other paths are the nodes' own.
END
}

fail() {
    echo "submit.sh: $1" >&2
    exit 2
}

needs_value() {
    (($# > 1)) || fail "$1 needs a value; cluster/submit.sh --help shows how"
}

find_ray() {
    command -v ray && return
    local of_make="$here/../.venv/bin/ray"
    [[ -x $of_make ]] && echo "$of_make" && return
    fail "the command 'ray' is not here; install it: pip install 'ray[default]==2.60.*', or type make .venv/.installed"
}

has_storage() {
    local word
    for word in "$@"; do [[ $word == --storage || $word == --storage=* ]] && return 0; done
    return 1
}

# A dashboard's address after SPACE would go to the search, which expects the cluster's, and the job elsewhere.
refuse_late_address() {
    local before="" word
    for word in "$@"; do
        [[ $word != --address=http* && $before$word != --address' 'http* ]] ||
            fail "--address of a dashboard must stand before SPACE; cluster/submit.sh --help shows how"
        before="$word "
    done
}

options=()
address=""
runtime_env=$here/runtime_env.yaml
while (($#)); do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --address=* | --runtime-env=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        --address) needs_value "$@" && address=$2 && shift 2 ;;
        --runtime-env) needs_value "$@" && runtime_env=$2 && shift 2 ;;
        --no-wait) options+=(--no-wait) && shift ;;
        *) break ;;
    esac
done

refuse_late_address "$@"
ray=$(find_ray)
[[ -r $runtime_env ]] || fail "$runtime_env: no such file; --runtime-env takes a YAML file such as cluster/runtime_env.yaml"
# Both of Ray's variables override the address given to its command, and this one overrides the other.
[[ -z $address && -n ${RAY_API_SERVER_ADDRESS-}${RAY_ADDRESS-} ]] ||
    export RAY_API_SERVER_ADDRESS="${address:-http://127.0.0.1:8265}"
# A cluster started next to a token demands it; Ray sends it only if told to, and other clusters ignore it.
[[ -n ${RAY_AUTH_MODE-} || ! -r ~/.ray/auth_token ]] || export RAY_AUTH_MODE=token
has_storage "$@" || echo "submit.sh: without --storage FOLDER the results stay in a temporary folder of the head node" >&2

exec "$ray" job submit ${options[@]+"${options[@]}"} --working-dir . --runtime-env "$runtime_env" -- \
    python -m distill_tune.search "$@"

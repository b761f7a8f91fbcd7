#!/usr/bin/env bash
# Builds the Kubernetes control plane that the tests talk to, from the versions pinned in go.mod, and prints the folder that
# holds the programs. A finished build is found again under the same key (the pins, the Go version and this script), outside the tree.
#
#   build.sh            build unless the programs are there already
#   build.sh --where    print the folder only; exit code 1 when it is not complete
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"

version=$(awk '$1 == "k8s.io/kubernetes" && $2 ~ /^v/ {print $2; exit}' go.mod)
go_version=$(command -v go >/dev/null && go env GOVERSION || echo none)
key=$(cat go.mod go.sum build.sh <(echo "$go_version") | sha256sum | cut -c1-12)
assets=${XDG_CACHE_HOME:-$HOME/.cache}/fusion-bridge/control-plane/$version-$key

complete() {
    for program in etcd kube-apiserver kube-controller-manager kubectl; do
        [ -x "$assets/$program" ] || return 1
    done
}

if [ "${1:-}" = --where ]; then
    echo "$assets"
    complete
    exit
fi
if ! complete; then
    if [ "$go_version" = none ]; then
        echo "building the control plane needs Go ($(sed -n 's/^go //p' go.mod) or later) on the PATH" >&2
        exit 1
    fi
    mkdir -p "$assets"
    IFS=. read -r major minor _ <<<"${version#v}"
    stamp=k8s.io/component-base/version
    flags="-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=$major -X $stamp.gitMinor=$minor"
    build() {
        local started=$SECONDS
        # Into a name of its own, then renamed: a build cut off leaves no half program behind.
        CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -ldflags "$flags" -o "$assets/.$1.$$" "$2"
        mv "$assets/.$1.$$" "$assets/$1"
        echo "built $1 in $((SECONDS - started)) s" >&2
    }
    build etcd go.etcd.io/etcd/server/v3
    build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
    build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
    build kubectl k8s.io/kubernetes/cmd/kubectl
fi
echo "$assets"

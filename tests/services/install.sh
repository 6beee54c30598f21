#!/bin/sh
# The real engines and tools that the integration tests run against, from Debian.
# As root: installs what is missing. Otherwise: names what is missing and fails.
set -eu

packages="
bubblewrap buildah chromium containerd crun disorderfs docker-registry docker.io gpgv iptables
libfaketime mmdebstrap oci-image-tool podman qemu-user-static rpm runc skopeo strace uidmap umoci
unzip util-linux xz-utils
"

missing=""
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ]; then
    echo "missing Debian packages:$missing" >&2
    echo "run as root: apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 — a list of words
apt-get install -qy --no-install-recommends $missing

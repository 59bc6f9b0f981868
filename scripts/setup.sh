#!/usr/bin/env bash
# Installs what Portolan needs on Debian 12, and says what each package is for. Only what is missing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# package: what it is for
packages='
conmon: holds terminals, logs and exit codes of containers
runc: starts container processes (OCI runtime)
libnftables1: firewall rules, as transactions
golang-github-containers-common: seccomp profile, containers.conf and registries.conf
catatonit: the init of --init
ca-certificates: HTTPS to registries
uidmap: user namespaces
tzdata: the time zones of --tz
curl: fetching the published page
'
test_packages='
iproute2: the tests read the network with ip(8)
procps: the tests look for processes left behind
mount: the tests build machines of their own
iputils-ping: the tests ping
telnet: knocking at a database as the article does
nftables: the tests read the firewall with nft(8)
dnsmasq-base: a DHCP server to have leases from
iptables: rules as old CNI plugins keep them
containernetworking-plugins: the Go CNI plugins, to compare with and to share state with
golang-github-appc-cni-dev: the source of libcni, which runs our plugins and is compared with our runtime
golang-go: builds that
podman: to compare with
netavark: to compare with, and the other network backend of podman
aardvark-dns: its name server
mmdebstrap: a Debian 13 with its newer podman and pasta, to compare with
docker-registry: a real registry for pulls
skopeo: fills that registry
buildah: builds images for the build verb, and runs on our CNI plugins
containerd: ctr(8) runs on our CNI plugins; no service is started where systemd is not running
busybox-static: a small image made on the spot
rpm: the package that zypper installs in the second container of the article
zsh: completion in it
fish: completion in it
mandoc: checks the man pages
createrepo-c: the repository that zypper finds it in
slirp4netns: to compare with
rootlesskit: drives our slirp4netns as Docker and nerdctl do
fuse-overlayfs: root file systems where the kernel mounts no overlay
iperf3: throughput, in the benches
systemd: a journal, for --log-driver journald
'

missing=()
while IFS=: read -r name purpose; do
  [ -n "$name" ] || continue
  dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' && continue
  echo "setup: $name:$purpose"
  missing+=("$name")
done <<<"$packages$([ "${1:-}" = test ] && echo "$test_packages")"

if [ "${#missing[@]}" -gt 0 ]; then
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

stamp=node_modules/.portolan-lock
if ! cmp -s package-lock.json "$stamp" 2>/dev/null; then
  echo "setup: npm packages (Bun, TypeScript, biome, …)"
  npm ci --no-audit --no-fund --loglevel=error
  # Bun's npm package puts its executable in place after the install; npm may be set to run no such step.
  npx --no-install bun --version >/dev/null 2>&1 || node node_modules/bun/install.js
  cp package-lock.json "$stamp"
  # Called by sudo, root leaves the working copy to its caller.
  if [ "$(id -u)" = 0 ] && [ -n "${SUDO_UID:-}" ]; then chown -R "$SUDO_UID:$SUDO_GID" node_modules; fi
fi

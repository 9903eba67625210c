#!/usr/bin/env bash
# Installs what the end-to-end tests drive: programs that nobody here wrote. Debian and Ubuntu. Says nothing and changes
# nothing if all of it is there.
set -euo pipefail

# Administrators' directories, where sshd and ip live, are not in every user's PATH.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# program=package, in one table so that neither is forgotten
needed=(
  bash=bash
  caddy=caddy
  chromium=chromium
  curl=curl
  ip=iproute2
  nc.openbsd=netcat-openbsd
  nft=nftables
  scp=openssh-client
  sha256sum=coreutils
  ssh=openssh-client
  ssh-keygen=openssh-client
  sshd=openssh-server
  unshare=util-linux
)

packages=()
for entry in "${needed[@]}"; do
  # -x, because command -v also names files that cannot be run.
  [ -x "$(command -v "${entry%%=*}")" ] || packages+=("${entry#*=}")
done
if [ "${#packages[@]}" -eq 0 ]; then exit 0; fi

if [ "$(id -u)" -ne 0 ]; then
  echo "install-test-tools: missing: ${packages[*]}" >&2
  echo "install-test-tools: run as root, or: sudo apt-get install --no-install-recommends ${packages[*]}" >&2
  exit 1
fi

# The tests start their own sshd and caddy, with their own keys and ports; no service shall run because of them.
# 101 is "forbidden by policy" to invoke-rc.d, which packages ask before they start what they bring.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get -q update && apt-get -q install -y --no-install-recommends "${packages[@]}"; } >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
rm -f "$log"
echo "install-test-tools: installed ${packages[*]}" >&2

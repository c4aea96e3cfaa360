#!/usr/bin/env bash
# Make the secrets that docker/compose.yaml mounts, unless they are there: random, and for nobody else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# The folder is closed to others; in a container, whose user owns neither, the files have to be open.
mkdir -p secrets
chmod 700 secrets
for name in admin_token grafana_password; do
  [[ -s secrets/$name ]] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"secrets/$name"
  chmod 444 "secrets/$name"
done

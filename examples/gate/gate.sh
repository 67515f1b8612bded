#!/bin/sh
# A gate for continuous integration: let a bundle through only when its bytes say that it keeps to
# the policy, and when it is what Limpet makes of the guest inside.  Usage: gate.sh BUNDLE
set -eu
here=$(dirname "$0")
limpet audit --policy "$here/policy.toml" "$1" >/dev/null
limpet verify "$1" >/dev/null
echo "$1 may pass"

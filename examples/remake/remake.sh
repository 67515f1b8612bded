#!/bin/sh
# Trust nobody's build: make a bundle that was handed over again, with one more limit, and say
# what that changed.  Usage: remake.sh BUNDLE NEW
set -eu
limpet verify "$1"
limpet rebuild --timeout 10s -o "$2" "$1"
limpet audit --against "$1" "$2"

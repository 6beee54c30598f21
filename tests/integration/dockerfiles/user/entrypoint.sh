#!/bin/sh
set -e
export GREETING="${GREETING:-you}"
exec python "$@"

#!/usr/bin/env bash
# How fast a GPU is, in at most eight minutes, on a machine that may be bare and without a network:
#     [WHEELS=folder] [BUDGET=480] benchmarks/gpu.sh [--output FOLDER] [--cases ...] [--profile MODEL]
# Packages that the machine lacks come from the wheels in WHEELS. CONTRIBUTING.md says more.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
if [ -n "${WHEELS:-}" ]; then
    packages=${TMPDIR:-/tmp}/wbc-gpu-packages
    "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --upgrade --target "$packages" "$WHEELS"/*.whl
    export PYTHONPATH=$packages${PYTHONPATH:+:$PYTHONPATH}
fi
export PYTHONUNBUFFERED=1
budget=$((${BUDGET:-480} - SECONDS))
exec timeout --kill-after=10 "$budget" "$PYTHON" -m benchmarks.gpu --budget $((budget - 20)) "$@"

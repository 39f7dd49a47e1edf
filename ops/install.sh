#!/usr/bin/env bash
# Makes .venv from requirements.lock, every file checked against its hash, and puts this checkout into it.
# Quick when nothing has changed. Needs no root; what only root can install is named with the line that does it.
# With --tests also what only the tests need.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
STAMP=.venv/.installed

missing() { printf '%s\n  %s\n' "$1" "$2" >&2; exit 1; }

command -v "$PYTHON" >/dev/null || missing "Python 3.11 or later is missing" "apt-get install -y python3 python3-venv"

# For the tests of dashboards and rules: unpacked beside the packages, so that it needs no root and starts nothing.
prometheus() {
  if command -v promtool >/dev/null || [ -x .venv/prometheus/usr/bin/promtool ]; then return; fi
  local folder
  folder=$(mktemp -d)
  # A fresh machine's lists of packages may be older than the archive.
  if (cd "$folder" && { apt-get download prometheus || { apt-get update && apt-get download prometheus; }; } &&
    dpkg-deb -x prometheus_*.deb unpacked) >"$folder/log" 2>&1; then
    rm -rf .venv/prometheus && mv "$folder/unpacked" .venv/prometheus
  else
    printf '%s\n  %s\n' "tests that need Prometheus will be skipped; this line installs it" \
      "apt-get update && apt-get install -y prometheus" >&2
  fi
  rm -rf "$folder"
}
finish() {
  .venv/bin/python -m ops.compiled.build
  if [ "${1:-}" = --tests ]; then prometheus; fi
  exit 0
}

# What was installed, and where: a checkout that has moved is installed anew.
want="$(pwd) $(cat requirements.lock pyproject.toml | "$PYTHON" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')"
if [ "$(cat "$STAMP" 2>/dev/null)" = "$want" ] && .venv/bin/python -c '' 2>/dev/null; then finish "$@"; fi

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || missing "$("$PYTHON" --version) is too old, 3.11 or later is needed" "PYTHON=/path/to/python3.11 make install"
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null \
    || missing "Python's venv module is missing" "apt-get install -y python3-venv"
  "$PYTHON" -m venv --clear .venv
fi

rm -f "$STAMP"
run() {  # Quiet unless it fails.
  "$@" >.venv/install.log 2>&1 || { cat .venv/install.log >&2; missing "failed: $*" "make install tries again"; }
}
echo "install: packages of requirements.lock (the first time takes some minutes)" >&2
run .venv/bin/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
run .venv/bin/python -m pip install --disable-pip-version-check --no-build-isolation --no-deps --editable .
rm -rf .venv/tierflow-compiled  # another mypyc may compile otherwise
.venv/bin/python -m ops.stack.preflight
printf '%s' "$want" > "$STAMP"
finish "$@"

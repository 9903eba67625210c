#!/bin/sh
# Runs the models of docs/formal through the Verifpal checker and compares with docs/formal/expected.txt:
#
#   scripts/formal.sh [NAME…]            all models, or these; exits 1 if a result is not the expected one
#   scripts/formal.sh --record [NAME…]   and keeps what the checker said in docs/formal/results
#
# VERIFPAL names a checker; without it cargo installs the one that the results are of into a temporary folder.
# LIMIT is the seconds that one model may take (1800).
set -eu
version=1.6.7

cd "$(dirname "$0")/../docs/formal"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

record=
if [ "${1:-}" = --record ]; then record=yes; shift; fi
for name in "$@"; do
  [ -f "$name.vp" ] || { echo "formal: there is no model $name" >&2; exit 2; }
done

checker=${VERIFPAL:-}
if [ -z "$checker" ]; then
  command -v cargo >/dev/null || { echo "formal: name a Verifpal $version with VERIFPAL=, or install cargo" >&2; exit 2; }
  echo "formal: installing Verifpal $version, which takes some minutes" >&2
  # The package asks for a newer compiler than it needs: 1.95 builds it.
  cargo install --quiet --locked --ignore-rust-version --root "$work" --target-dir "$work/target" "verifpal@$version" >&2
  checker=$work/bin/verifpal
fi
found=$("$checker" --version)
[ "$found" = "verifpal $version" ] || echo "formal: the results are of Verifpal $version, this is $found" >&2

passed=0
failed=0
# Model, sessions, and a letter and a digit for each query: 0 holds, 1 is contradicted.
while read -r model sessions expected; do
  case $model in '' | '#'*) continue ;; esac
  if [ $# -gt 0 ]; then
    case " $* " in *" $model "*) ;; *) continue ;; esac
  fi
  started=$(date +%s)
  # Into a file, never to a terminal: there the checker asks the network for a newer version of itself.
  timeout -k 5 "${LIMIT:-1800}" "$checker" verify "$model.vp" --sessions "$sessions" --result-code --color never \
    >"$work/out" 2>&1 </dev/null || true
  seconds=$(($(date +%s) - started))
  got=$(tail -n 1 "$work/out")
  if [ "$got" = "$expected" ]; then
    passed=$((passed + 1))
    echo "$model: $got ($sessions sessions, $seconds s)"
  else
    failed=$((failed + 1))
    echo "$model: NOT AS EXPECTED, $expected: $got ($sessions sessions, $seconds s)"
  fi
  if [ -n "$record" ]; then
    mkdir -p results
    digest=$(sha256sum "$model.vp" | cut -c 1-16)
    # Without the time of day.
    {
      echo "$found, model $digest, $sessions sessions, $seconds s"
      sed -E 's/ at [0-9:]+ [AP]M//' "$work/out"
    } >"results/$model.txt"
  fi
done <expected.txt
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

#!/bin/sh
# Runs the models of docs/formal through the Verifpal checker and compares with docs/formal/expected.txt:
#
#   scripts/formal.sh             all models; exits 1 if a result is not the expected one
#   scripts/formal.sh NAME…       these
#   scripts/formal.sh --record    all, and writes what the checker said to docs/formal/results.txt
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

checker=${VERIFPAL:-}
if [ -z "$checker" ]; then
  command -v cargo >/dev/null || { echo "formal: name a Verifpal $version with VERIFPAL=, or install cargo" >&2; exit 2; }
  echo "formal: installing Verifpal $version (some minutes)" >&2
  # The package asks for a newer compiler than it needs: 1.95 builds it.
  cargo install --quiet --locked --ignore-rust-version --root "$work" --target-dir "$work/target" "verifpal@$version" >&2
  checker=$work/bin/verifpal
fi
found=$("$checker" --version)
[ "$found" = "verifpal $version" ] || echo "formal: the results are of Verifpal $version, this is $found" >&2

failed=0
count=0
# Model, sessions, and a letter and digit for each query: 0 holds, 1 is contradicted.
while read -r model sessions expected; do
  case $model in '' | '#'*) continue ;; esac
  if [ $# -gt 0 ]; then
    case " $* " in *" $model "*) ;; *) continue ;; esac
  fi
  count=$((count + 1))
  started=$(date +%s)
  # Into a file, never to a terminal: there the checker asks the network for a newer version of itself.
  timeout -k 5 "${LIMIT:-1800}" "$checker" verify "$model.vp" --sessions "$sessions" --result-code --color never \
    >"$work/$model.out" 2>&1 || true
  seconds=$(($(date +%s) - started))
  got=$(tail -n 1 "$work/$model.out")
  verdict=ok
  if [ "$got" != "$expected" ]; then verdict="NOT AS EXPECTED ($expected)"; failed=$((failed + 1)); fi
  printf '%-28s %s sessions %5s s  %s  %s\n' "$model" "$sessions" "$seconds" "$got" "$verdict" | tee -a "$work/table"
done <expected.txt

if [ -n "$record" ]; then
  {
    echo "$found"
    echo
    cat "$work/table"
    while read -r model sessions _; do
      case $model in '' | '#'*) continue ;; esac
      printf '\n==> %s.vp --sessions %s\n' "$model" "$sessions"
      # Without the time of day.
      sed -E "s/ at [0-9:]+ [AP]M//" "$work/$model.out"
    done <expected.txt
  } >results.txt
fi
echo "$((count - failed)) passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$count" -gt 0 ]

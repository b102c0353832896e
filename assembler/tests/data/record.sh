#!/bin/sh
# Makes one recording: record.sh BIN_DIR SCENARIO [lab flags]; BIN_DIR holds tierscope and tierscope-lab-app. Root.
set -eu
bin=$1 scenario=$2; shift 2
here=$(cd "$(dirname "$0")" && pwd)
lab=/var/tmp/tierscope-golden
"$bin/tierscope" lab up --dir "$lab" "$@"
trap '"$bin/tierscope" lab down --dir "$lab"' EXIT
field() { python3 -c "import json; print(next(p['$2'] for p in json.load(open('$lab/lab.json'))['processes'] if p['role'] == '$1'))"; }
listen=$(field nginx listen)
rm -f "$here/$scenario.tsrec"
# The file is made after the last hook is in place.
(until [ -e "$here/$scenario.tsrec" ]; do sleep 0.1; done; echo go) |
    python3 "$here/client.py" "${listen##*:}" "$scenario" &
client=$!
"$bin/tierscope" record --duration 4 --out "$here/$scenario.tsrec" \
    --process nginx="$(field nginx pid)" --process app="$(field app pid)" \
    --process postgres="$(field postgres pid)" --process loadgen="$client"
wait "$client"

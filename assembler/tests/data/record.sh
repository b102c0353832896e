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
(sleep 4; echo go) | python3 "$here/client.py" "${listen##*:}" "$scenario" &
client=$!
rm -f "$here/$scenario.tsrec"
"$bin/tierscope" record --duration 7 --out "$here/$scenario.tsrec" \
    --process nginx="$(field nginx pid)" --process app="$(field app pid)" \
    --process postgres="$(field postgres pid)" --process loadgen="$client"
wait "$client"

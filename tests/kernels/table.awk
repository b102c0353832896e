# The test programs' outputs, one file per kernel, as one table: which hooks each kernel gave, and how its tests
# ended. Exits 1 where one failed, or where fewer than `programs` programs came to their end.

FNR == 1 { kernels[++count] = FILENAME }
/^hook / {
    event = substr($0, 6, index($0, ": ") - 6)
    if (!(event in known)) { known[event]; events[++rows] = event }
    form[FILENAME, event] = substr($0, index($0, ": ") + 2)
}
/^test .* \.\.\. ok$/ { passed[FILENAME]++ }
/^test .* \.\.\. FAILED$/ { failed[FILENAME]++ }
/^skipped: / { skipped[FILENAME]++ }
/^test result: / { ended[FILENAME]++ }

function row(name, values,    i) {
    printf "%-22s", name
    for (i = 1; i <= count; i++) printf "  %-30s", values[i]
    print ""
}

END {
    row("", kernels)
    for (r = 1; r <= rows; r++) {
        for (i = 1; i <= count; i++) cells[i] = form[kernels[i], events[r]]
        row(events[r], cells)
    }
    for (i = 1; i <= count; i++) {
        k = kernels[i]
        # A test that is skipped says so, and passes.
        cells[i] = passed[k] - skipped[k] " passed, " failed[k] + 0 " failed, " skipped[k] + 0 " skipped"
        if (ended[k] < programs) cells[i] = cells[i] ", did not end"
        if (failed[k] || ended[k] < programs) bad = 1
    }
    row("tests", cells)
    exit bad
}

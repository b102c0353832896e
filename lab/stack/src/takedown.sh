# Takes the lab in directory $1 down; the other arguments are the programs that it runs.
#
# While someone holds the other end of our input, the lab is theirs and we wait. The line
# "release" lets it live on without us. The end of input, also by kill -9 of whoever held it,
# takes it down. (A parent-death signal would follow a thread instead of a process, would not
# reach workers whose master is dead, and would leave the directory.)
dir=$1
shift
while read -r word; do
    if [ "$word" = release ]; then exit 0; fi
done

# Whatever became of its parent, a process of the lab runs one of the programs inside the directory.
members() {
    find /proc -mindepth 2 -maxdepth 2 -name cwd \( -lname "$dir" -o -lname "$dir/*" \) 2>/dev/null |
        while read -r link; do
            pid=${link#/proc/}
            pid=${pid%/cwd}
            exe=$(readlink "/proc/$pid/exe")
            for program in "$@"; do
                if [ "${exe% (deleted)}" = "$program" ]; then echo "$pid"; fi
            done
        done
}

# SIGINT: nginx and the app stop, PostgreSQL shuts down without waiting for its clients.
for signal in INT KILL; do
    for pid in $(members "$@"); do kill -s $signal "$pid" 2>/dev/null; done
    tries=100
    while [ $tries -gt 0 ] && [ -n "$(members "$@")" ]; do
        tries=$((tries - 1))
        sleep 0.05
    done
done
left=$(members "$@")
if [ -n "$left" ]; then
    echo "processes" $left >&2
    exit 1
fi

# A postmaster that was killed leaves its pid file, and a System V segment whose id ends line 7.
segment=$(sed -n '7s/.* //p' "$dir/postgres/postmaster.pid" 2>/dev/null)
if [ -n "$segment" ]; then ipcrm -m "$segment" 2>/dev/null; fi

# A helper that outlives whoever started it (cp) may add files for a moment.
tries=100
until rm -rf "$dir" 2>/dev/null || [ $tries -eq 0 ]; do
    tries=$((tries - 1))
    sleep 0.05
done
# Says what could not be removed, if anything.
rm -rf "$dir"

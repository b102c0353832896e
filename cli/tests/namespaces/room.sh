# First process of a room: a file system of its own over the host's, which nobody else sees and which is laid out
# like the images of compose.yaml; then, as user $1, the rest of the arguments, once a line says that the network
# is there. $REPOSITORY and $PROGRAMS (a directory) are the host's.
set -eu
user=$1
shift

# Only in this namespace.
room=/mnt
mount -t tmpfs -o mode=0755 tmpfs "$room"
mkdir "$room/upper" "$room/work" "$room/root"
opt=$room/upper/opt/tierscope
mkdir -p "$opt/lab/app" "$room/upper/usr/local/bin" "$room/upper/dev" "$room/upper/proc"
cp -r "$REPOSITORY/nginx" "$opt"
cp -r "$REPOSITORY/lab/containers" "$REPOSITORY/lab/postgres" "$opt/lab"
cp -r "$REPOSITORY/lab/app/templates" "$opt/lab/app"
for program in tierscope tierscope-lab-app; do
    case " $* " in *" $program "*) cp "$PROGRAMS/$program" "$room/upper/usr/local/bin/" ;; esac
done
install -d -o "$user" "$room/upper/var/lib/tierscope"

mount -t overlay -o "lowerdir=/,upperdir=$room/upper,workdir=$room/work" overlay "$room/root"
mount -t proc proc "$room/root/proc"
mount --bind /dev "$room/root/dev"
# Shared memory that a killed server leaves goes with the room.
mount -t tmpfs tmpfs "$room/root/dev/shm"
cd "$room/root"
mkdir outside
pivot_root . outside
umount -l outside

echo built
read -r _
# Not by exec: a container's first process may be one that only looks after the server.
setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups -- "$@" 2>&1
echo "ended with $?"
read -r _

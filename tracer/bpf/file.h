/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Calls on regular files, from their entry to their return: one record each, and a file's name once. */
#ifndef TIERSCOPE_FILE_H
#define TIERSCOPE_FILE_H

/* Components of a path, mounts included, and bytes of one of them with its NUL. */
#define NAME_COMPONENTS 16
#define NAME_BYTES 256
/* Must be a power of two. */
#define NAME_TEXT 1024

/* Frames of a user stack. */
#define STACK_FRAMES 48
/* User stacks: each has one place, told by its hash, and goes without if another took that. */
#define STACK_MAP(name)                                           \
	struct {                                                  \
		__uint(type, BPF_MAP_TYPE_STACK_TRACE);           \
		__uint(max_entries, TS_STACKS);                   \
		__uint(key_size, sizeof(u32));                    \
		__uint(value_size, STACK_FRAMES * sizeof(u64));   \
	} name SEC(".maps")

struct named {
	u64 ino;
	u64 dev;
};

/* The names that were told of files, as the hash of the last component and its directory: a file that is
 * renamed, and another that takes its number, are told of again. So is one that is forgotten. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct named);
	__type(value, u64);
} named_files SEC(".maps");

struct naming {
	struct ts_file_name record;
	u8 text[NAME_TEXT + NAME_BYTES + 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct naming);
} namings SEC(".maps");

STACK_MAP(stacks);
/* Those whose place in `stacks` was taken: with a few dozen stacks that happens in one run of ten. */
STACK_MAP(more_stacks);

static __always_inline struct mount *mount_of(struct file *file)
{
	return (void *)BPF_CORE_READ(file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt);
}

/* Copies the names from the leaf to the root, over the places where file systems are mounted; returns
 * the bytes used. */
static __always_inline u32 read_names(struct naming *n, struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct mount *mount = mount_of(file);
	u32 used = 0;

	n->record.cut = 1;
	for (int i = 0; i < NAME_COMPONENTS; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);
		const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
		long length;

		if (dentry == parent || dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			if (above == mount) {
				n->record.cut = 0;
				break;
			}
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		if (used >= NAME_TEXT)
			break;
		used = bounded(used, NAME_TEXT);
		length = bpf_probe_read_kernel_str(n->text + used, NAME_BYTES, name);
		if (length <= 0)
			break;
		used += length & (2 * NAME_BYTES - 1);
		dentry = parent;
	}
	return used;
}

static __always_inline void tell_name(struct file *file, const struct named *id)
{
	struct naming *n = bpf_task_storage_get(&namings, bpf_get_current_task_btf(), NULL,
						BPF_LOCAL_STORAGE_GET_F_CREATE);
	u32 used;

	if (!n) {
		lose(TS_PROGRAM_FILE);
		return;
	}
	n->record.ino = id->ino;
	n->record.dev = id->dev;
	used = read_names(n, file);
	if (used > NAME_TEXT + NAME_BYTES)
		return;
	n->record.text_len = used;
	__builtin_memset(n->text + used, 0, 8);
	emit(TS_PROGRAM_FILE, &n->record.head, TS_KIND_FILE_NAME, sizeof(n->record) + ((used + 7) & ~7));
}

static __always_inline void name_once(struct file *file, u64 ino, u32 dev)
{
	struct named id = { .ino = ino, .dev = dev };
	u64 name = BPF_CORE_READ(file, f_path.dentry, d_name.hash_len);
	u64 *told = bpf_map_lookup_elem(&named_files, &id);

	if (told && *told == name)
		return;
	if (bpf_map_update_elem(&named_files, &id, &name, BPF_ANY))
		lose(TS_PROGRAM_FILE);
	tell_name(file, &id);
}

/* A regular file's; NULL: it is none. */
static __always_inline struct inode *regular(struct file *file)
{
	struct inode *inode = file ? BPF_CORE_READ(file, f_inode) : NULL;

	return inode && (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG ? inode : NULL;
}

/* Which file the call is on, told by name if it is new. */
static __always_inline void identify(struct file_call *call, struct file *file, struct inode *inode)
{
	call->ino = BPF_CORE_READ(inode, i_ino);
	call->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	name_once(file, call->ino, call->dev);
}

/* The number of the caller's stack; 0: none. */
static __always_inline u32 take_stack(void *ctx, const struct ts_traced *process)
{
	long place;

	if (!process->stacks)
		return 0;
	place = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
	if (place >= 0)
		return place + 1;
	place = bpf_get_stackid(ctx, &more_stacks, BPF_F_USER_STACK);
	if (place >= 0)
		return TS_STACKS + place + 1;
	count_filtered(TS_FILTER_NO_STACK);
	return 0;
}

static __always_inline struct file_call *new_call(void *ctx, struct thread *thread, u8 op)
{
	struct file_call *call = &thread->call;

	/* A call of which the end was missed. */
	if (call->start_ts)
		lose(TS_PROGRAM_FILE);
	call->op = op;
	call->ino = 0;
	call->dev = 0;
	call->offset = -1;
	call->file = NULL;
	call->appends = 0;
	call->stack = take_stack(ctx, &thread->process);
	call->start_ts = bpf_ktime_get_ns();
	return call;
}

/* A traced thread's call on `file` begins; at `offset`, or at the file's position where that is negative. */
static __always_inline void call_begins(void *ctx, struct thread *thread, u8 op, struct file *file, s64 offset)
{
	struct inode *inode = regular(file);
	struct file_call *call;

	if (!inode) {
		count_filtered(TS_FILTER_NOT_A_FILE);
		return;
	}
	call = new_call(ctx, thread, op);
	call->file = file;
	identify(call, file, inode);
	if (op == TS_FILE_SYNC)
		return;
	if (op == TS_FILE_WRITE && BPF_CORE_READ(file, f_flags) & O_APPEND)
		call->appends = 1;
	else
		call->offset = offset < 0 ? BPF_CORE_READ(file, f_pos) : offset;
}

/* The calling thread, or NULL: it is not traced. Asked first: most calls are others'. */
static __always_inline struct thread *caller(void)
{
	struct thread *thread = thread_of(bpf_get_current_task_btf(), TS_PROGRAM_FILE);

	if (!thread)
		count_filtered(TS_FILTER_UNTRACED);
	return thread;
}

static __always_inline void file_begin(void *ctx, u8 op, struct file *file, s64 offset)
{
	struct thread *thread = caller();

	if (thread)
		call_begins(ctx, thread, op, file, offset);
}

/* The same, by its descriptor. */
static __always_inline void descriptor_begin(void *ctx, u8 op, u32 fd, s64 offset)
{
	struct thread *thread = caller();

	if (thread)
		call_begins(ctx, thread, op, file_of(fd), offset);
}

static __always_inline struct file_call *pending_call(void)
{
	struct thread *thread = thread_seen(bpf_get_current_task_btf());

	return thread && thread->call.start_ts ? &thread->call : NULL;
}

/* `call` returns; a write that appended ended at `end`. */
static __always_inline void file_end(struct file_call *call, s64 result, s64 end)
{
	u64 id = bpf_get_current_pid_tgid();
	struct ts_file r = {
		.start_ts = call->start_ts,
		.ino = call->ino,
		.offset = call->appends && result > 0 ? end - result : call->offset,
		.result = result,
		.pid = id >> 32,
		.tid = id,
		.dev = call->dev,
		.stack = call->stack,
		.op = call->op,
	};

	call->start_ts = 0;
	if (sampling() && !worker_keeps()) {
		count_sampled_out();
		return;
	}
	EMIT(TS_PROGRAM_FILE, TS_KIND_FILE, &r);
}

/* Which file it is will be known at its return. */
static __always_inline void file_opens(void *ctx)
{
	struct thread *thread = caller();

	if (thread)
		new_call(ctx, thread, TS_FILE_OPEN);
}

static __always_inline void file_opened(s64 fd)
{
	struct file_call *call = pending_call();
	struct inode *inode;
	struct file *file;

	if (!call)
		return;
	file = fd < 0 ? NULL : file_of(fd);
	inode = regular(file);
	if (inode) {
		identify(call, file, inode);
		file_end(call, fd, 0);
	} else {
		call->start_ts = 0;
		count_filtered(TS_FILTER_NOT_A_FILE);
	}
}

#endif

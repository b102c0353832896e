// SPDX-License-Identifier: MIT OR GPL-2.0
/* The same calls on files at the kernel's functions, where it allows trampolines:
 * no other process takes a slower way through its system calls then. */

static __always_inline s64 position(const s64 *pos)
{
	s64 at = -1;

	if (pos)
		bpf_probe_read_kernel(&at, sizeof(at), pos);
	return at;
}

static __always_inline void function_returns(const s64 *pos, s64 result)
{
	struct file_call *call = pending_call();

	if (call)
		file_end(call, result, call->appends ? position(pos) : 0);
}

SEC("fentry/vfs_read")
int BPF_PROG(vfs_read_entry, struct file *file, char *buf, size_t count, s64 *pos)
{
	file_begin(ctx, TS_FILE_READ, file, position(pos));
	return 0;
}

SEC("fexit/vfs_read")
int BPF_PROG(vfs_read_exit, struct file *file, char *buf, size_t count, s64 *pos, s64 result)
{
	function_returns(pos, result);
	return 0;
}

SEC("fentry/vfs_write")
int BPF_PROG(vfs_write_entry, struct file *file, char *buf, size_t count, s64 *pos)
{
	file_begin(ctx, TS_FILE_WRITE, file, position(pos));
	return 0;
}

SEC("fexit/vfs_write")
int BPF_PROG(vfs_write_exit, struct file *file, char *buf, size_t count, s64 *pos, s64 result)
{
	function_returns(pos, result);
	return 0;
}

SEC("fentry/vfs_readv")
int BPF_PROG(vfs_readv_entry, struct file *file, void *vec, u64 segments, s64 *pos)
{
	file_begin(ctx, TS_FILE_READ, file, position(pos));
	return 0;
}

SEC("fexit/vfs_readv")
int BPF_PROG(vfs_readv_exit, struct file *file, void *vec, u64 segments, s64 *pos, int flags, s64 result)
{
	function_returns(pos, result);
	return 0;
}

SEC("fentry/vfs_writev")
int BPF_PROG(vfs_writev_entry, struct file *file, void *vec, u64 segments, s64 *pos)
{
	file_begin(ctx, TS_FILE_WRITE, file, position(pos));
	return 0;
}

SEC("fexit/vfs_writev")
int BPF_PROG(vfs_writev_exit, struct file *file, void *vec, u64 segments, s64 *pos, int flags, s64 result)
{
	function_returns(pos, result);
	return 0;
}

/* The system calls themselves: compilers put a copy of vfs_fsync_range into them. */
SEC("fentry/__x64_sys_fsync")
int BPF_PROG(fsync_entry, const struct pt_regs *regs)
{
	descriptor_begin(ctx, TS_FILE_SYNC, FIRST_ARGUMENT(regs), -1);
	return 0;
}

SEC("fexit/__x64_sys_fsync")
int BPF_PROG(fsync_exit, const struct pt_regs *regs, s64 result)
{
	function_returns(NULL, result);
	return 0;
}

SEC("fentry/__x64_sys_fdatasync")
int BPF_PROG(fdatasync_entry, const struct pt_regs *regs)
{
	descriptor_begin(ctx, TS_FILE_SYNC, FIRST_ARGUMENT(regs), -1);
	return 0;
}

SEC("fexit/__x64_sys_fdatasync")
int BPF_PROG(fdatasync_exit, const struct pt_regs *regs, s64 result)
{
	function_returns(NULL, result);
	return 0;
}

/* Of sendfile; `in` is read. */
SEC("fentry/do_sendfile")
int BPF_PROG(sendfile_entry, int out, int in, s64 *pos)
{
	descriptor_begin(ctx, TS_FILE_READ, in, position(pos));
	return 0;
}

SEC("fexit/do_sendfile")
int BPF_PROG(sendfile_exit, int out, int in, s64 *pos, size_t count, s64 max, s64 result)
{
	function_returns(NULL, result);
	return 0;
}

SEC("fentry/do_sys_openat2")
int BPF_PROG(open_entry)
{
	file_opens(ctx);
	return 0;
}

SEC("fexit/do_sys_openat2")
int BPF_PROG(open_exit, int directory, const char *path, void *how, s64 fd)
{
	file_opened(fd);
	return 0;
}

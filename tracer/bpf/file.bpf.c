// SPDX-License-Identifier: MIT OR GPL-2.0
/* Calls on files, by the system calls that make them. */

/* What the kernel hands to a program at a system call's own tracepoints. */
struct syscall_entry {
	u64 regs;
	u64 number;
	u64 args[6];
};

struct syscall_exit {
	u64 regs;
	u64 number;
	s64 result;
};

SEC("tracepoint")
int file_read(struct syscall_entry *ctx)
{
	descriptor_begin(ctx, TS_FILE_READ, ctx->args[0], -1);
	return 0;
}

SEC("tracepoint")
int file_write(struct syscall_entry *ctx)
{
	descriptor_begin(ctx, TS_FILE_WRITE, ctx->args[0], -1);
	return 0;
}

SEC("tracepoint")
int file_read_at(struct syscall_entry *ctx)
{
	descriptor_begin(ctx, TS_FILE_READ, ctx->args[0], ctx->args[3]);
	return 0;
}

SEC("tracepoint")
int file_write_at(struct syscall_entry *ctx)
{
	descriptor_begin(ctx, TS_FILE_WRITE, ctx->args[0], ctx->args[3]);
	return 0;
}

SEC("tracepoint")
int file_sync(struct syscall_entry *ctx)
{
	descriptor_begin(ctx, TS_FILE_SYNC, ctx->args[0], -1);
	return 0;
}

/* sendfile(out, in, &offset, count): `in` is read. */
SEC("tracepoint")
int file_send(struct syscall_entry *ctx)
{
	s64 offset = -1;

	if (ctx->args[2])
		bpf_probe_read_user(&offset, sizeof(offset), (void *)ctx->args[2]);
	descriptor_begin(ctx, TS_FILE_READ, ctx->args[1], offset);
	return 0;
}

SEC("tracepoint")
int file_open(struct syscall_entry *ctx)
{
	file_opens(ctx);
	return 0;
}

SEC("tracepoint")
int file_open_exit(struct syscall_exit *ctx)
{
	file_opened(ctx->result);
	return 0;
}

SEC("tracepoint")
int file_exit(struct syscall_exit *ctx)
{
	struct file_call *call = pending_call();
	struct file *file;

	if (!call)
		return 0;
	file = call->file;
	file_end(call, ctx->result, call->appends ? BPF_CORE_READ(file, f_pos) : 0);
	return 0;
}

// SPDX-License-Identifier: MIT OR GPL-2.0
/* Probes that the traced programs bring along. One program serves all: the
 * attachment's cookie says where that probe's arguments are. */

#define MAX_SPECS 1024

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SPECS);
	__type(key, u32);
	__type(value, struct ts_usdt_spec);
} specs SEC(".maps");

struct firing {
	u32 busy;
	u32 pad;
	u64 registers[REGISTERS];
	struct ts_usdt record;
	u8 text[2 * (TS_TEXT_MAX + 1) + 8];
};

/* Of every CPU, some: a probe can be preempted by another one's. Powers of two. */
#define FIRINGS 128
#define FIRINGS_PER_CPU 8

/* An array of this size is in memory of which the kernel need not find out what lies there before it copies user
 * memory to it. For task storage it does, at a tenth of a probe's cost. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FIRINGS);
	__type(key, u32);
	__type(value, struct firing);
} firings SEC(".maps");

/* One that nobody uses; NULL: there is none. */
static __always_inline struct firing *firing_take(void)
{
	u32 first = bpf_get_smp_processor_id() * FIRINGS_PER_CPU;

	for (u32 i = 0; i < FIRINGS_PER_CPU; i++) {
		u32 index = (first + i) & (FIRINGS - 1);
		struct firing *f = bpf_map_lookup_elem(&firings, &index);

		if (f && !__sync_val_compare_and_swap(&f->busy, 0, 1))
			return f;
	}
	return NULL;
}

static __always_inline void firing_give_back(struct firing *f)
{
	__sync_val_compare_and_swap(&f->busy, 1, 0);
}

static __always_inline void copy_registers(struct firing *f, const struct pt_regs *ctx)
{
	for (int i = 0; i < REGISTERS; i++)
		f->registers[i] = ((const volatile u64 *)ctx)[i];
}

static __always_inline u64 read_register(const struct firing *f, u32 offset)
{
	return offset < sizeof(f->registers) ? f->registers[offset / 8] : 0;
}

/* Keeps `size` low bytes, with their sign. */
static __always_inline u64 narrow(u64 value, const struct ts_arg *arg)
{
	u32 shift = (64 - arg->size * 8) & 63;

	value <<= shift;
	return arg->is_signed ? (u64)((s64)value >> shift) : value >> shift;
}

static __always_inline u64 read_arg(const struct firing *f, const struct ts_arg *arg)
{
	u64 value, address;

	if (arg->kind == TS_ARG_CONST)
		return arg->value;
	value = read_register(f, arg->reg_offset);
	if (arg->kind != TS_ARG_REG) {
		address = value + arg->value;
		if (arg->kind == TS_ARG_MEM_INDEXED)
			address += read_register(f, arg->index_offset) * arg->scale;
		value = 0;
		/* No more than its size: the next byte may lie on a page that is not there. */
		if (bpf_probe_read_user(&value, arg->size > 8 ? 8 : arg->size, (void *)address))
			count_filtered(TS_FILTER_TEXT_FAULT);
	}
	return narrow(value, arg);
}

/* Copies the string at `address` behind `used` bytes of text; returns its length. */
static __always_inline u32 read_text(struct firing *f, u32 used, u64 address)
{
	long n;

	if (!address || used > TS_TEXT_MAX)
		return 0;
	n = bpf_probe_read_user_str(f->text + used, TS_TEXT_MAX + 1, (void *)address);
	if (n > 0)
		return n - 1;
	count_filtered(TS_FILTER_TEXT_FAULT);
	return 0;
}

static __always_inline u32 read_args(const struct ts_usdt_spec *spec, struct firing *f)
{
	u32 used = 0, texts = 0;

	for (int i = 0; i < 6; i++) {
		u64 value;

		f->record.args[i] = 0;
		if (i >= spec->arg_count)
			continue;
		value = read_arg(f, &spec->args[i]);
		f->record.args[i] = value;
		if (!(spec->text_mask & (1 << i)) || texts > 1)
			continue;
		f->record.text_len[texts] = read_text(f, used, value);
		used += f->record.text_len[texts] & (2 * TS_TEXT_MAX - 1);
		texts++;
	}
	return used;
}

/* What PostgreSQL executes; also a statement that was prepared before tracing began. */
static __always_inline u32 read_query(const struct ts_traced *process, struct firing *f)
{
	u64 query = 0;

	if (process->query && bpf_probe_read_user(&query, sizeof(query), (void *)process->query))
		count_filtered(TS_FILTER_TEXT_FAULT);
	f->record.text_len[0] = read_text(f, 0, query);
	return f->record.text_len[0];
}

/* Told at the end of what looked them up. */
static __always_inline bool ends_lookups(u16 probe)
{
	return probe == TS_PROBE_PG_EXECUTE_DONE || probe == TS_PROBE_PG_TRANSACTION_COMMIT ||
	       probe == TS_PROBE_PG_TRANSACTION_ABORT;
}

/* Whether the request that the application's probe tells of, or that the backend works for, is kept. */
static __always_inline bool is_kept(const struct firing *f, const struct ts_usdt_spec *spec, u32 program)
{
	bool asks = spec->probe == TS_PROBE_DB_QUERY_START || spec->probe == TS_PROBE_DB_ACQUIRE_START;
	u32 verdict;

	if (program == TS_PROGRAM_USDT_POSTGRES)
		return worker_keeps();
	verdict = verdict_of(read_arg(f, &spec->args[0]), read_arg(f, &spec->args[1]));
	worker_does(verdict, program);
	poll_begins(verdict, asks);
	return verdict == KEEP;
}

static __always_inline void tell_firing(struct firing *f, const struct ts_usdt_spec *spec,
					const struct ts_traced *process, u32 program)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 used;

	f->record.pid = id >> 32;
	f->record.tid = id;
	f->record.probe = spec->probe;
	f->record.text_len[0] = 0;
	f->record.text_len[1] = 0;
	used = read_args(spec, f);
	if (spec->probe == TS_PROBE_PG_EXECUTE_START)
		used = read_query(process, f);
	if (used > 2 * TS_TEXT_MAX)
		return;
	__builtin_memset(f->text + used, 0, 8);
	used = (used + 7) & ~7;
	emit(program, &f->record.head, TS_KIND_USDT, sizeof(f->record) + used);
}

static __always_inline int fire(struct pt_regs *ctx, u32 program)
{
	u32 index = bpf_get_attach_cookie(ctx);
	struct ts_usdt_spec *spec = bpf_map_lookup_elem(&specs, &index);
	struct ts_traced *process = current_traced();
	struct firing *f;
	bool kept;

	if (!spec || !process)
		return 0;
	f = firing_take();
	if (!f) {
		lose(program);
		return 0;
	}
	if (spec->arg_count)
		copy_registers(f, ctx);
	if (program == TS_PROGRAM_USDT_POSTGRES)
		buffers_begin(process);
	/* Before the lookups are told: it says whose they are. */
	kept = !sampling() || is_kept(f, spec, program);
	if (ends_lookups(spec->probe))
		buffers_emit(process, bpf_get_current_pid_tgid());
	if (kept)
		tell_firing(f, spec, process, program);
	else
		count_sampled_out();
	firing_give_back(f);
	return 0;
}

SEC("uprobe")
int usdt_app(struct pt_regs *ctx)
{
	return fire(ctx, TS_PROGRAM_USDT_APP);
}

SEC("uprobe")
int usdt_postgres(struct pt_regs *ctx)
{
	return fire(ctx, TS_PROGRAM_USDT_POSTGRES);
}

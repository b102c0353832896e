// SPDX-License-Identifier: MIT OR GPL-2.0
/* What block devices do for traced threads: told when it is done. */

/* No tag: no scheduler is in use. */
#define NO_TAG (-1)

/* Requests asked for and not done. One that never ends is forgotten. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct ts_block);
} requests SEC(".maps");

static __always_inline u8 block_op(struct request *rq)
{
	switch (rq->cmd_flags & REQ_OP_MASK) {
	case REQ_OP_READ:
		return TS_BLOCK_READ;
	case REQ_OP_WRITE:
		return TS_BLOCK_WRITE;
	case REQ_OP_FLUSH:
		return TS_BLOCK_FLUSH;
	default:
		return TS_BLOCK_OTHER;
	}
}

/* The whole disk's number; 0: none. */
static __always_inline u32 disk_of(struct request *rq)
{
	struct gendisk *disk = rq->q->disk;

	return disk ? (u32)disk->major << MINOR_BITS | disk->first_minor : 0;
}

/* The request is the calling thread's, if that is traced. */
static __always_inline struct ts_block *own(u64 key)
{
	u64 id = bpf_get_current_pid_tgid();
	struct ts_block r = {
		.pid = id >> 32,
		.tid = id,
	};

	if (!current_traced())
		return NULL;
	if (sampling() && !worker_keeps()) {
		count_sampled_out();
		return NULL;
	}
	if (bpf_map_update_elem(&requests, &key, &r, BPF_ANY))
		lose(TS_PROGRAM_BLOCK);
	return bpf_map_lookup_elem(&requests, &key);
}

/* Into a scheduler's queue, by who asks for it; a worker of the kernel's may give it to the device. */
SEC("tp_btf/block_rq_insert")
int BPF_PROG(block_insert, struct request *rq)
{
	own((u64)rq);
	return 0;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(block_issue, struct request *rq)
{
	u64 key = (u64)rq;
	struct ts_block *r = bpf_map_lookup_elem(&requests, &key);

	/* Where a scheduler queued it, who gives it need not be who asked. */
	if (!r && rq->internal_tag == NO_TAG)
		r = own(key);
	if (!r) {
		count_filtered(TS_FILTER_UNTRACED);
		return 0;
	}
	r->op = block_op(rq);
	r->dev = disk_of(rq);
	r->bytes = rq->__data_len;
	/* A flush is of the whole device. */
	r->sector = r->op == TS_BLOCK_FLUSH ? 0 : rq->__sector;
	r->issue_ts = bpf_ktime_get_ns();
	return 0;
}

/* `bytes` of what is left are done. */
SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_complete, struct request *rq, u8 error, u32 bytes)
{
	u64 key = (u64)rq;
	struct ts_block *given = bpf_map_lookup_elem(&requests, &key);
	struct ts_block r;

	if (!given || !given->issue_ts || (!error && bytes < rq->__data_len))
		return 0;
	r = *given;
	r.error = error;
	bpf_map_delete_elem(&requests, &key);
	EMIT(TS_PROGRAM_BLOCK, TS_KIND_BLOCK, &r);
	return 0;
}

/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The maps that the probe families share. */
#ifndef TIERSCOPE_MAPS_H
#define TIERSCOPE_MAPS_H

/* Records on their way to user space. The loader sets its size. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

/* Traced processes, by tgid. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct ts_traced);
} traced SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TS_PROGRAM_COUNT);
	__type(key, u32);
	__type(value, struct ts_program_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TS_FILTER_COUNT);
	__type(key, u32);
	__type(value, u64);
} filtered SEC(".maps");

#endif

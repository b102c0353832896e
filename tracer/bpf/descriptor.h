/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The open file behind a descriptor of the calling process. */
#ifndef TIERSCOPE_DESCRIPTOR_H
#define TIERSCOPE_DESCRIPTOR_H

/* NULL: there is none (any more). Readable with BPF_CORE_READ only. */
static __always_inline struct file *file_of(u32 fd)
{
	struct fdtable *table = bpf_get_current_task_btf()->files->fdt;
	struct file *file = NULL;

	if (fd < table->max_fds)
		bpf_probe_read_kernel(&file, sizeof(file), &table->fd[fd]);
	return file;
}

static __always_inline u32 file_type(struct file *file)
{
	return BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT;
}

#endif

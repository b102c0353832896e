// SPDX-License-Identifier: MIT OR GPL-2.0
/* Does nothing: the host check attaches it for a moment, to learn whether this
 * kernel allows trampolines. */

SEC("fentry")
int trampoline(void *ctx)
{
	return 0;
}

// SPDX-License-Identifier: MIT OR GPL-2.0
/* Every probe family in one object, so that they share their maps. */
char LICENSE[] __attribute__((section("license"), used)) = "Dual MIT/GPL";

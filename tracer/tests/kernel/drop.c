// SPDX-License-Identifier: MIT OR GPL-2.0
/* For tests: tc classifiers that drop one in six large packets, or all of them. */

#define TC_ACT_OK 0
#define TC_ACT_SHOT 2

static unsigned int (*get_prandom_u32)(void) = (void *)7;

struct __sk_buff {
	unsigned int len;
};

__attribute__((section("tc"), used)) int drop(struct __sk_buff *skb)
{
	return skb->len > 1000 && get_prandom_u32() % 6 == 0 ? TC_ACT_SHOT : TC_ACT_OK;
}

__attribute__((section("all"), used)) int drop_all(struct __sk_buff *skb)
{
	return skb->len > 1000 ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] __attribute__((section("license"), used)) = "Dual MIT/GPL";

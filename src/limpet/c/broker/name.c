/* Names in DNS packets, and which of them the policy allows.  Packets are hostile. */
#include "broker/broker.h"

static u8 lower(u8 byte) {
    return (u8)(byte - 'A') < 26 ? byte | 32 : byte;
}

static bool add_label(struct dns_name *name, const u8 *from) {
    u32 size = 1U + from[0];
    if (name->size + size > NAME_MOST)
        return false;
    memcpy(name->bytes + name->size, from, size);
    name->size += size;
    return true;
}

/* The name at `at`; where the packet goes on behind it, 0: it is none.  A pointer must lead to
 * before all that was read so far, so that there is an end. */
static u32 take_name(const u8 *packet, u32 size, u32 at, struct dns_name *name) {
    u32 behind = 0, first = at;
    name->size = 0;
    while (at < size) {
        u32 length = packet[at];
        if (length >= 0xc0) {
            if (at + 1 >= size)
                return 0;
            u32 to = (length & 0x3f) << 8 | packet[at + 1];
            if (to >= first)
                return 0;
            behind = behind ? behind : at + 2;
            first = at = to;
            continue;
        }
        if (length > 63 || at + 1 + length > size || !add_label(name, packet + at))
            return 0;
        at += 1 + length;
        if (!length)
            return behind ? behind : at;
    }
    return 0;
}

static void lower_name(const struct dns_name *from, struct dns_name *to) {
    to->size = from->size;
    for (u32 at = 0; at < from->size; at += 1U + from->bytes[at]) {
        to->bytes[at] = from->bytes[at];
        for (u32 i = 1; i <= from->bytes[at]; i++)
            to->bytes[at + i] = lower(from->bytes[at + i]);
    }
}

static bool same_name(const struct dns_name *a, const struct dns_name *b) {
    return a->size == b->size && same_bytes(a->bytes, b->bytes, a->size);
}

static const u8 *name_of_rule(const struct broker_policy *policy, const struct broker_rule *rule) {
    return (const u8 *)&policy->rule[policy->rules] + rule->name_at;
}

/* Below: at least one label more, and the rest is the same from a label on. */
static bool rule_has(const struct broker_policy *policy, const struct broker_rule *rule,
                     const struct dns_name *name) {
    const u8 *wanted = name_of_rule(policy, rule);
    if (rule->kind == RULE_NAME)
        return name->size == rule->name_size && same_bytes(name->bytes, wanted, name->size);
    if (rule->kind != RULE_BELOW || name->size <= rule->name_size)
        return false;
    u32 at = 0;
    while (at < name->size - rule->name_size)
        at += 1U + name->bytes[at];
    return at == name->size - rule->name_size &&
           same_bytes(name->bytes + at, wanted, rule->name_size);
}

/* The rules that allow `name`, a bit each. */
static u64 rules_of_name(const struct broker_policy *policy, const struct dns_name *name) {
    u64 found = 0;
    for (u32 i = 0; i < policy->rules; i++)
        if (rule_has(policy, &policy->rule[i], name))
            found |= 1UL << i;
    return found;
}

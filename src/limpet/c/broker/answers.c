/*
 * What names lead to, and for how long.
 *
 * An answer is pinned: until its time is over the same question has the same answer, and only its
 * addresses can be connected to.  So a name that first leads to a good address and then to a bad
 * one is no way in, and a name server cannot change its mind quickly by a time of nothing.
 */
#include "broker/broker.h"

/* For the addresses of a name that is in a network of the policy's, whatever name leads there. */
static bool is_in_a_net(const struct broker_policy *policy, const struct broker_address *address,
                        const struct refused_block *block) {
    for (u32 i = 0; i < policy->rules; i++) {
        const struct broker_rule *rule = &policy->rule[i];
        if (rule->kind == RULE_NET && is_in(address->bytes, rule->net, rule->prefix) &&
            (!block || means_block(rule, block)))
            return true;
    }
    return false;
}

static struct broker_answer *find_answer(struct broker *broker, const struct dns_name *name,
                                         u32 type) {
    for (u32 i = 0; i < ANSWERS_MOST; i++) {
        struct broker_answer *each = &broker->answer[i];
        if (each->until > broker->now && each->type == type && same_name(&each->name, name))
            return each;
    }
    return NULL;
}

/* A place for one more: that which is over first gives way. */
static struct broker_answer *answer_place(struct broker *broker) {
    struct broker_answer *oldest = broker->answer;
    for (u32 i = 1; i < ANSWERS_MOST; i++)
        if (broker->answer[i].until < oldest->until)
            oldest = &broker->answer[i];
    return oldest;
}

/* Leaves out what no name may lead to, each with a line; whether any is left. */
static void leave_out_refused(struct broker *broker, struct broker_answer *answer) {
    u16 kept = 0;
    for (u16 i = 0; i < answer->count; i++) {
        const struct broker_address *address = &answer->address[i];
        const struct refused_block *block = refused_block(address);
        if (answer->type == TYPE_AAAA && is_v4(address))
            log_name(broker, &answer->name, address, "an IPv4 address in other words");
        else if (block && !is_in_a_net(broker->policy, address, block))
            log_name(broker, &answer->name, address, block->why);
        else
            answer->address[kept++] = *address;
    }
    answer->count = kept;
}

/* From now on; in `answer->until` stands for how many seconds. */
static struct broker_answer *pin_answer(struct broker *broker, struct broker_answer *answer) {
    struct broker_answer *to = answer_place(broker);
    leave_out_refused(broker, answer);
    s64 seconds = answer->count ? MAX_OF(answer->until, (s64)PINNED_LEAST) : (s64)PINNED_LEAST;
    answer->until = broker->now + seconds * BROKER_SECOND;
    *to = *answer;
    return to;
}

/* The rules by which names lead to that address now. */
static u64 rules_of_pinned(const struct broker *broker, const struct broker_address *address) {
    u64 found = 0;
    for (u32 i = 0; i < ANSWERS_MOST; i++) {
        const struct broker_answer *each = &broker->answer[i];
        for (u32 j = 0; each->until > broker->now && j < each->count; j++)
            if (same_bytes(&each->address[j], address, sizeof *address))
                found |= each->rules;
    }
    return found;
}

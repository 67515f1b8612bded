/*
 * What a start chooses: --connect:NAME=ADDRESS:PORT and -p:NAME=[ADDRESS:]PORT.
 *
 * The table has a place for each, and at most what it can be.  The filter knows the places; the
 * monitor fills all of them, closes the table with that of devices, and no guest runs before.  The
 * starter could run another bundle, and is trusted with its own host; but whoever made the bundle,
 * and whoever looked at it, has said what it may be given.
 */
#include "chosen.h"

struct choice {
    struct outside_address at; /* zeros up to then, but for the kind of socket */
    u16 low, high;
    u8 prefix;
    u8 connects; /* an endpoint, not a port */
    u8 network[V6_BYTES];
    char name[CHOICE_NAME_SIZE], text[CHOICE_TEXT_SIZE];
};
_Static_assert(sizeof(struct choice) == CHOICE_SIZE, "struct choice");

enum { REASON_ROOM = 256 };

static struct choice *choice_at(u64 index) {
    return (struct choice *)CHOICES_AT + index;
}

/* What a network has and nothing can be at: other words for IPv4, link-local addresses without an
 * interface, addresses of many hosts; and what means every interface, for a connection. */
static bool is_nowhere(const struct choice *choice, const u8 *host) {
    static const u8 none[V6_BYTES], mapped[V6_BYTES] = {[10] = 0xff, [11] = 0xff};
    static const u8 local[V6_BYTES] = {0xfe, 0x80}, many[V6_BYTES] = {0xff};
    static const u8 many_4[V6_BYTES] = {0xe0};
    if (is_in(host, none, BITS * V6_BYTES)) /* what is not there of one of IPv4 is zero */
        return choice->connects;
    if (!choice->at.version_6)
        return !host[0] || is_in(host, many_4, 3);
    if (is_in(host, none, BITS * V6_BYTES - 1)) /* ::1 */
        return false;
    return is_in(host, none, 96) || is_in(host, mapped, 96) || is_in(host, local, 10) ||
           is_in(host, many, 8);
}

static void fill_in(struct outside_address *at, const u8 *host, u64 port) {
    u64 size = at->version_6 ? V6_BYTES : V4_BYTES, from = at->version_6 ? 8 : 4;
    at->address[0] = at->version_6 ? AF_INET6 : AF_INET;
    const u16 port_of_network = __builtin_bswap16((u16)port);
    memcpy(at->address + 2, &port_of_network, sizeof port_of_network);
    for (u64 i = 0; i < size; i++)
        at->address[from + i] = host[i];
    at->size = at->version_6 ? SOCKET_ADDRESS_SIZE : SIZE_OF_4;
}

/* Where the port starts, behind the address; a port alone is one of 127.0.0.1. */
static const char *take_host(const struct choice *choice, const char *value, u8 host[V6_BYTES]) {
    static const u8 loopback[V4_BYTES] = {127, 0, 0, 1};
    u64 port;
    if (!choice->connects && !choice->at.version_6 && take_decimal(value, 0, PORT_MOST, &port)) {
        for (u64 i = 0; i < V4_BYTES; i++)
            host[i] = loopback[i];
        return value;
    }
    return choice->at.version_6 ? take_version_6(value, host) : take_version_4(value, host);
}

static _Noreturn void refuse_word(const char *word, const char *why, const struct choice *choice) {
    char reason[REASON_ROOM];
    *put_text(put_text(reason, why), choice->text) = 0;
    complain("limpet: ", word, SHOWN, reason);
}

static void choose(struct choice *choice, const char *word, const char *value) {
    u8 host[V6_BYTES] = {0};
    u64 number;
    const char *port = take_host(choice, value, host);
    if (choice->at.size)
        complain("limpet: ", word, SHOWN, ": given twice");
    if (!port || !take_decimal(port, 0, PORT_MOST, &number) || !number)
        refuse_word(word,
                    ": no address and port; names are for a broker, and are given when the "
                    "bundle is built; here at most ",
                    choice);
    if (!is_in(host, choice->network, choice->prefix) || number < choice->low ||
        number > choice->high)
        refuse_word(word, ": the bundle can be given at most ", choice);
    if (is_nowhere(choice, host))
        complain("limpet: ", word, SHOWN, ": no address of one host");
    fill_in(&choice->at, host, number);
}

static void want(const struct choice *choice) {
    char reason[REASON_ROOM];
    const char *value = choice->connects ? "=ADDRESS:PORT, at most " : "=[ADDRESS:]PORT, at most ";
    *put_text(put_text(reason, value), choice->text) = 0;
    say(choice->connects ? "limpet: the bundle wants --connect:" : "limpet: the bundle wants -p:",
        choice->name, CHOICE_NAME_SIZE, reason);
}

static _Noreturn void want_all(const char *what, const char *name, const char *why) {
    say(what, name, SHOWN, why);
    for (u64 i = 0; i < CHOICES; i++)
        want(choice_at(i));
    leave();
}

static bool take_choice(const char *word) {
    const char *connects = behind(word, "--connect:"), *port = behind(word, "-p:");
    const char *text = connects ? connects : port ? port : behind(word, "--publish:");
    for (u64 i = 0; i < CHOICES && text; i++) {
        struct choice *choice = choice_at(i);
        const char *value = behind(text, choice->name);
        if (!value || *value != '=' || choice->connects != (connects != NULL))
            continue;
        choose(choice, word, value + 1);
        return true;
    }
    if (text)
        want_all("limpet: ", word, ": not among what a start chooses");
    return false;
}

static void expect_choices(void) {
    for (u64 i = 0; i < CHOICES; i++)
        if (!choice_at(i)->at.size)
            want_all("limpet: nothing is given for ", choice_at(i)->name, "");
}

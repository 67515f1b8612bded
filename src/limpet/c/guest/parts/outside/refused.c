/* What a program wanted outside and was not given: said once, with the words that give it. */
#include "core/core.h"
#include "parts/outside/links.h"

static void say_group(const u8 *pair) {
    char text[5] = "", *to = text;
    for (int shift = 12; shift >= 0; shift -= 4) {
        u32 value = (u32)pair[0] << 8 | pair[1];
        if (to > text || value >> shift || !shift)
            *to++ = "0123456789abcdef"[value >> shift & 15];
    }
    say(text);
}

static void say_endpoint(const struct endpoint *to) {
    static const u8 mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool version_4 = !memcmp(to->host, mapped, sizeof mapped);
    say(version_4 ? "" : "[");
    for (u32 i = version_4 ? 12 : 0; i < 16; i += version_4 ? 1 : 2) {
        if (version_4)
            say_decimal(to->host[i]);
        else
            say_group(to->host + i);
        say(i + (version_4 ? 1 : 2) == 16 ? "" : version_4 ? "." : ":");
    }
    say(version_4 ? ":" : "]:");
    say_decimal(to->port);
}

long outside_refused(const struct socket *socket, const struct endpoint *to) {
    static bool told;
    if (!told) {
        told = true;
        say_name();
        say(is_stream(socket) ? " wanted to connect to " : " wanted to send to ");
        say_endpoint(to);
        say(", which it was not given: --connect ");
        say_endpoint(to);
        say(is_stream(socket) ? "" : "/udp");
        say_backend();
    }
    if (outside_log)
        outside_log->connection(socket, to);
    return -ENETUNREACH;
}

long outside_full(long otherwise) {
    static bool told;
    if (!told) {
        told = true;
        say_name();
        say(" has all of its ");
        say_decimal(outside_slots.end - outside_slots.first);
        say(" connections in use: give more with --sockets");
        say_backend();
    }
    return otherwise;
}

/* Numbers and structures of sockets (the uapi headers). */
#ifndef LIMPET_SOCKET_ABI_H
#define LIMPET_SOCKET_ABI_H

#include "linux.h"

enum { AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, FAMILIES = 46 };
enum {
    SOCK_STREAM = 1,
    SOCK_DGRAM = 2,
    SOCK_RAW = 3,
    SOCK_SEQPACKET = 5,
    SOCK_PACKET = 10,
    SOCK_KINDS = 11,
    SOCK_KIND = 0xf,
    SOCK_NONBLOCK = O_NONBLOCK,
    SOCK_CLOEXEC = O_CLOEXEC
};

enum {
    MSG_OOB = 1,
    MSG_PEEK = 2,
    MSG_CTRUNC = 8,
    MSG_TRUNC = 0x20,
    MSG_DONTWAIT = 0x40,
    MSG_EOR = 0x80,
    MSG_WAITALL = 0x100,
    MSG_ERRQUEUE = 0x2000,
    MSG_NOSIGNAL = 0x4000,
    MSG_MORE = 0x8000,
    MSG_WAITFORONE = 0x10000,
    MSG_CMSG_CLOEXEC = 0x40000000
};

enum {
    EDESTADDRREQ = 89,
    EMSGSIZE = 90,
    EPROTOTYPE = 91,
    ENOPROTOOPT = 92,
    EPROTONOSUPPORT = 93,
    ESOCKTNOSUPPORT = 94,
    EAFNOSUPPORT = 97,
    EADDRINUSE = 98,
    EADDRNOTAVAIL = 99,
    ENETUNREACH = 101,
    ECONNABORTED = 103,
    ECONNRESET = 104,
    ENOBUFS = 105,
    ENOTCONN = 107,
    ETOOMANYREFS = 109,
    ECONNREFUSED = 111,
    EALREADY = 114,
    EINPROGRESS = 115
};

#define ADDRESS_MOST 128 /* struct sockaddr_storage */
#define UNIX_PATH 2      /* where a sockaddr_un's path starts */
#define UNIX_MOST 110    /* struct sockaddr_un */

struct address_4 {
    u16 family, port; /* network's order, as the rest */
    u8 host[4];
    u8 zero[8];
};

struct address_6 {
    u16 family, port;
    u32 flow;
    u8 host[16];
    u32 scope;
};

/* A socket's address as programs give it. */
struct address {
    u32 length;
    union {
        u16 family;
        u8 bytes[ADDRESS_MOST];
        struct address_4 v4;
        struct address_6 v6;
    };
};

struct credentials {
    s32 pid;
    u32 uid, gid;
};

struct linux_message {
    u64 name;
    u32 name_length, unused;
    u64 vector, count;
    u64 control, control_size;
    u32 flags, unused_too;
};
_Static_assert(sizeof(struct linux_message) == 56, "struct msghdr");

struct linux_messages {
    struct linux_message message;
    u32 size, unused;
};

struct linux_control {
    u64 length;
    s32 level, kind;
};

enum { SOL_IP = 0, SOL_SOCKET = 1, SOL_TCP = 6, SOL_UDP = 17, SOL_IPV6 = 41, SOL_UDPLITE = 136 };
enum { UDPLITE_SEND_CSCOV = 10, UDPLITE_RECV_CSCOV = 11 };
enum { UDPLITE_ALL = 0x10000 }; /* kept where a receiver sets 0: nothing with a part covered */
enum { SCM_RIGHTS = 1, SCM_CREDENTIALS = 2, RIGHTS_MOST = 253 };

enum {
    SO_DEBUG = 1,
    SO_REUSEADDR = 2,
    SO_TYPE = 3,
    SO_ERROR = 4,
    SO_DONTROUTE = 5,
    SO_BROADCAST = 6,
    SO_SNDBUF = 7,
    SO_RCVBUF = 8,
    SO_KEEPALIVE = 9,
    SO_OOBINLINE = 10,
    SO_PRIORITY = 12,
    SO_LINGER = 13,
    SO_REUSEPORT = 15,
    SO_PASSCRED = 16,
    SO_PEERCRED = 17,
    SO_RCVLOWAT = 18,
    SO_SNDLOWAT = 19,
    SO_RCVTIMEO = 20,
    SO_SNDTIMEO = 21,
    SO_TIMESTAMP = 29,
    SO_ACCEPTCONN = 30,
    SO_SNDBUFFORCE = 32,
    SO_RCVBUFFORCE = 33,
    SO_TIMESTAMPNS = 35,
    SO_MARK = 36,
    SO_PROTOCOL = 38,
    SO_DOMAIN = 39,
    SO_PEEK_OFF = 42,
    SO_RCVTIMEO_NEW = 66,
    SO_SNDTIMEO_NEW = 67
};

#endif

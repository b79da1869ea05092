/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE 1
#include "app/process/channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

bool channel_pair(int fds[2])
{
    int room = 4 * CHANNEL_MOST;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return false;
    for (int i = 0; i < 2; i++)
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    return true;
}

int channel_send(int channel, const char *verb, str rest, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    size_t verb_n = strlen(verb);
    rest = str_upto(rest, CHANNEL_MOST - verb_n - 1);
    struct iovec iov[] = { { (void *)(uintptr_t)verb, verb_n }, { (void *)(uintptr_t)" ", 1 },
                           { (void *)(uintptr_t)rest.p, rest.n } };
    struct msghdr message = { .msg_iov = iov, .msg_iovlen = 3 };

    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(channel, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

static int received_fd(struct msghdr *message)
{
    int fd = -1;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
            memcpy(&fd, CMSG_DATA(header), sizeof(int));
    return fd;
}

int channel_receive(int channel, struct channel_message *message)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = { message->text, CHANNEL_MOST };
    struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof(control) };
    ssize_t n;

    do
        n = recvmsg(channel, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n <= 0)
        return -1;
    message->text[n] = 0;
    message->fd = received_fd(&header);
    str text = { message->text, (size_t)n };
    size_t space = str_find(text, ' ');
    message->verb = str_upto(text, space);
    message->rest = str_from(text, space + 1);
    return 1;
}

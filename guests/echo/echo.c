/* An echo server for many clients in one thread: poll(2) over the listening sockets that it
 * was given and all connections. The README tells its behaviour. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    FIRST_FD = 3,
    LISTENERS = 8,
    CLIENTS = 1024,
    AT_ONCE = 64,
    BUFFER = 64 * 1024,
    /* How long clients may take to read what is theirs once the server ends, in ms. */
    LEAVE = 1000,
};

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* There are no signals. */
#endif

struct client {
    int fd;
    bool ended;    /* It sends no more, or is not asked to. */
    bool gone;     /* It is to be closed. */
    int quit;      /* How many bytes of "quit" its line is so far, -1 for another line. */
    size_t start;  /* Where in the ring the bytes begin that it has not got back, */
    size_t length; /* and how many there are. */
    char *ring;
};

static struct client clients[CLIENTS];
static size_t count;
static int listeners[LISTENERS];
static size_t listener_count;

static size_t at_once = AT_ONCE;
static long left = -1; /* How many clients are still to be accepted, -1 for no end. */
static bool quitting;
static unsigned long served;
static unsigned long long echoed;

static bool would_block(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static bool set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags != -1 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static uint64_t now_ms(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Takes the sockets among the descriptors from FIRST_FD on, up to the first that is none. */
static bool find_listeners(void) {
    for (int fd = FIRST_FD; listener_count < LISTENERS; fd++) {
        int type = 0;
        socklen_t size = sizeof type;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
            if (errno == EBADF) {
                break;
            }
            continue; /* A directory, say. */
        }
        if (type != SOCK_STREAM) {
            continue;
        }
        if (!set_nonblocking(fd)) {
            fprintf(stderr, "echo: descriptor %d: %s\n", fd, strerror(errno));
            return false;
        }
        listeners[listener_count++] = fd;
        printf("listening on %d\n", fd);
    }
    if (listener_count == 0) {
        fprintf(stderr, "echo: no socket: give it one, with --tcplisten ADDR\n");
        return false;
    }
    return true;
}

static bool accepts(void) {
    return !quitting && left != 0 && count < at_once;
}

/* Accepts all that wait. Returns false where that fails, for want of descriptors mostly. */
static bool accept_from(int listener) {
    while (accepts()) {
        int fd = accept(listener, NULL, NULL);
        if (fd == -1) {
            if (errno == ECONNABORTED || errno == EINTR) {
                continue;
            }
            if (!would_block()) {
                fprintf(stderr, "echo: accept: %s\n", strerror(errno));
                return false;
            }
            return true;
        }
        char *ring = malloc(BUFFER);
        if (ring == NULL || !set_nonblocking(fd)) {
            fprintf(stderr, "echo: a client is turned away: %s\n", strerror(errno));
            free(ring);
            close(fd);
            continue;
        }
        clients[count++] = (struct client){.fd = fd, .ring = ring};
        served++;
        if (left > 0) {
            left--;
        }
    }
    return true;
}

/* Looks for a line "quit", which may come in pieces. */
static void look_for_quit(struct client *client, const char *bytes, size_t length) {
    static const char word[] = "quit";
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            if (client->quit == (int)strlen(word)) {
                quitting = true;
            }
            client->quit = 0;
        } else if (client->quit >= 0 && bytes[i] == word[client->quit] && bytes[i] != '\0') {
            client->quit++;
        } else if (bytes[i] != '\r' || client->quit != (int)strlen(word)) {
            client->quit = -1;
        }
    }
}

/* Reads once into the free part of the ring that lies in one piece. */
static void receive(struct client *client) {
    size_t end = (client->start + client->length) % BUFFER;
    size_t room = end < client->start ? client->start - end : BUFFER - end;
    ssize_t n = recv(client->fd, client->ring + end, room, 0);
    if (n > 0) {
        look_for_quit(client, client->ring + end, (size_t)n);
        client->length += (size_t)n;
    } else if (n == 0) {
        client->ended = true;
    } else if (!would_block()) {
        client->gone = true;
    }
}

/* Writes as much of the ring as the client takes. */
static void give_back(struct client *client) {
    while (client->length > 0) {
        size_t piece = BUFFER - client->start;
        if (piece > client->length) {
            piece = client->length;
        }
        ssize_t n = send(client->fd, client->ring + client->start, piece, MSG_NOSIGNAL);
        if (n == -1) {
            if (errno == EINTR) {
                continue;
            }
            client->gone = !would_block();
            return;
        }
        client->start = (client->start + (size_t)n) % BUFFER;
        client->length -= (size_t)n;
        echoed += (unsigned long long)n;
    }
    client->start = 0;
}

static bool wants_to_read(const struct client *client) {
    return !client->ended && client->length < BUFFER;
}

static void serve(struct client *client, int events) {
    if (events & POLLNVAL) {
        client->gone = true;
        return;
    }
    /* An error or a hangup is found out by the call that fails. */
    if (events & (POLLOUT | POLLERR | POLLHUP)) {
        give_back(client);
    }
    if (!client->gone && wants_to_read(client) && events & (POLLIN | POLLERR | POLLHUP)) {
        receive(client);
        if (!client->gone) {
            give_back(client);
        }
    }
}

/* Closes who is gone, and who has ended and got everything back. */
static void close_done(void) {
    for (size_t i = 0; i < count;) {
        struct client *client = &clients[i];
        bool complete = client->ended && client->length == 0;
        if (!client->gone && !complete) {
            i++;
            continue;
        }
        if (!client->gone) {
            shutdown(client->fd, SHUT_WR);
        }
        close(client->fd);
        free(client->ring);
        clients[i] = clients[--count];
    }
}

static int run(void) {
    static struct pollfd polled[LISTENERS + CLIENTS];
    uint64_t deadline = 0;
    bool can_accept = true;
    for (;;) {
        if (quitting) {
            if (deadline == 0) {
                deadline = now_ms() + LEAVE;
            }
            for (size_t i = 0; i < count; i++) {
                clients[i].ended = true;
            }
        }
        size_t before = count;
        close_done();
        if (count < before) {
            can_accept = true;
        }
        if (count == 0 && (quitting || left == 0)) {
            return 0;
        }

        size_t n = 0;
        /* What is not polled waits: TCP holds up who sends to a full client, and the system
         * keeps new clients until there is a place. */
        for (size_t i = 0; can_accept && accepts() && i < listener_count; i++) {
            polled[n++] = (struct pollfd){.fd = listeners[i], .events = POLLIN};
        }
        size_t first = n;
        for (size_t i = 0; i < count; i++) {
            short events = wants_to_read(&clients[i]) ? POLLIN : 0;
            if (clients[i].length > 0) {
                events |= POLLOUT;
            }
            polled[n++] = (struct pollfd){.fd = clients[i].fd, .events = events};
        }
        int timeout = -1;
        if (quitting) {
            uint64_t now = now_ms();
            if (now >= deadline) {
                return 0; /* They had their time; what is open ends with the program. */
            }
            timeout = (int)(deadline - now);
        }
        if (poll(polled, n, timeout) == -1) {
            if (errno == EINTR) {
                continue;
            }
            fprintf(stderr, "echo: poll: %s\n", strerror(errno));
            return 1;
        }
        /* The clients first: accepting adds to them. */
        for (size_t i = first; i < n; i++) {
            if (polled[i].revents != 0) {
                serve(&clients[i - first], polled[i].revents);
            }
        }
        for (size_t i = 0; i < first; i++) {
            if (polled[i].revents & ~POLLIN) {
                fprintf(stderr, "echo: descriptor %d listens no more\n", polled[i].fd);
                return 1;
            }
            if (polled[i].revents != 0) {
                can_accept = accept_from(polled[i].fd) && can_accept;
            }
        }
        if (!can_accept && count == 0) {
            return 1; /* No client will leave and make a place. */
        }
    }
}

/* A number from 1 to `most`, or 0. */
static long number(const char *text, long most) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    return errno != 0 || end == text || *end != '\0' || value < 1 || value > most ? 0 : value;
}

int main(int argc, char **argv) {
    /* Each line as it comes, wherever it goes. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    bool wrong = argc > 3;
    if (!wrong && argc > 1) {
        left = number(argv[1], 1000000);
        wrong = left == 0;
    }
    if (!wrong && argc > 2) {
        at_once = (size_t)number(argv[2], CLIENTS);
        wrong = at_once == 0;
    }
    if (wrong) {
        fprintf(stderr,
                "usage: echo [CLIENTS [AT_ONCE]]: ends after CLIENTS (1 to 1000000), or after a "
                "line \"quit\"; serves AT_ONCE (1 to %d, else %d) of them at once\n",
                CLIENTS, AT_ONCE);
        return 2;
    }
    if (!find_listeners()) {
        return 2;
    }
    int code = run();
    printf("served %lu clients, %llu bytes\n", served, echoed);
    return code;
}

/*
 * An open-loop load of HTTP/1.1 requests over kept connections:
 *
 *     open_loop PORT CONNECTIONS RATE SECONDS WARM_SECONDS REQUESTS_FILE
 *
 * Requests are due at random moments (Poisson arrivals with a fixed seed, RATE a second on average), whether or not the
 * server keeps up. A request that is due takes the connection that has been idle longest, or waits for one. Latency is
 * counted from the moment it was due, so that waiting is part of it. The first WARM_SECONDS are not counted.
 * REQUESTS_FILE holds the requests that are sent in turn, each as its length in decimal, a line feed, and its bytes.
 * Prints "name value" lines; times in microseconds. `lateness` is how long after they were due requests were written
 * although a connection was idle: the error of this instrument.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 4096, MOST_REQUESTS = 65536, BUFFER = 65536 };
static const double GRACE = 5e9;

typedef struct { int fd; double due, idle_since; size_t filled; char buffer[BUFFER]; } Connection;
typedef struct { size_t length; char *bytes; } Request;

static Request requests[MOST_REQUESTS];
static size_t request_count;

static void fail(const char *what) { fprintf(stderr, "%s: %s\n", what, strerror(errno)); exit(1); }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static void read_requests(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    size_t length;
    while (request_count < MOST_REQUESTS && fscanf(file, "%zu", &length) == 1 && fgetc(file) == '\n') {
        char *bytes = malloc(length);
        if (!bytes || fread(bytes, 1, length, file) != length) fail(path);
        requests[request_count++] = (Request){length, bytes};
    }
    fclose(file);
    if (!request_count) { fprintf(stderr, "%s: no requests\n", path); exit(1); }
}

/* The length of the response at the start of the buffer; 0 if its head is not complete, -1 if it is no 200. */
static long response_length(Connection *connection) {
    char *end = memmem(connection->buffer, connection->filled, "\r\n\r\n", 4);
    if (!end) return 0;
    if (memcmp(connection->buffer, "HTTP/1.1 200", 12)) return -1;
    for (char *line = connection->buffer; line < end; line = (char *)memchr(line, '\n', end + 2 - line) + 1)
        if (!strncasecmp(line, "content-length:", 15)) return end + 4 - connection->buffer + atol(line + 15);
    return -1;
}

static int ascending(const void *one, const void *other) {
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

static double percentile(const float *sorted, size_t count, double share) {
    return count ? sorted[(size_t)(share * (count - 1))] : 0;
}

int main(int argc, char **argv) {
    if (argc != 7) { fprintf(stderr, "open_loop PORT CONNECTIONS RATE SECONDS WARM_SECONDS REQUESTS_FILE\n"); return 2; }
    int count = atoi(argv[2]);
    if (count < 1 || count > MOST_CONNECTIONS) { fprintf(stderr, "1 to %d connections\n", MOST_CONNECTIONS); return 2; }
    double gap = 1e9 / atof(argv[3]), seconds = atof(argv[4]), warm = atof(argv[5]);
    read_requests(argv[6]);
    prctl(PR_SET_TIMERSLACK, 1);
    /* Before the target, which shares the core: as root alone, without it the lateness tells. */
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    srand48(1);

    size_t capacity = (size_t)(1.5 * seconds * 1e9 / gap) + 1000;
    float *latencies = malloc(capacity * sizeof *latencies), *lateness = malloc(capacity * sizeof *lateness);
    double *dues = malloc(capacity * sizeof *dues);
    Connection *connections = calloc(count, sizeof *connections);
    int *idle = malloc(count * sizeof *idle);
    if (!latencies || !lateness || !dues || !connections || !idle) fail("memory");

    int poll = epoll_create1(0);
    struct sockaddr_in address = {AF_INET, htons(atoi(argv[1])), {htonl(INADDR_LOOPBACK)}, {0}};
    for (int i = 0, one = 1; i < count; i++) {
        connections[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(connections[i].fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
        setsockopt(connections[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd, &event)) fail("epoll_ctl");
        idle[i] = i;
    }

    /* Counted up, taken modulo: `idle` is a ring of connections, `dues` a list of the moments requests were due. */
    size_t idle_head = 0, idle_tail = count, due_head = 0, due_tail = 0, answered = 0, counted = 0, punctual = 0;
    double start = now(), counting = start + warm * 1e9, end = start + seconds * 1e9, next = start;
    for (;;) {
        double moment = now();
        for (; next <= moment && next < end && due_tail < capacity; next -= log(1 - drand48()) * gap) dues[due_tail++] = next;
        if (due_head == due_tail && idle_tail - idle_head == (size_t)count && next >= end) break;
        if (moment > end + GRACE) break;
        for (; due_head < due_tail && idle_head < idle_tail; due_head++) {
            Connection *connection = &connections[idle[idle_head++ % count]];
            Request *request = &requests[due_head % request_count];
            connection->due = dues[due_head];
            if (connection->idle_since <= connection->due) lateness[punctual++] = (moment - connection->due) / 1e3;
            if (write(connection->fd, request->bytes, request->length) != (ssize_t)request->length) fail("write");
        }
        double wait = next < end && due_head == due_tail ? next - now() : 1e8;
        struct timespec timeout = {0, wait > 0 ? (long)(wait < 1e8 ? wait : 1e8) : 0};
        struct epoll_event events[256];
        int ready = epoll_pwait2(poll, events, 256, &timeout, NULL);
        if (ready < 0 && errno != EINTR) fail("epoll_pwait2");
        for (int i = 0; i < ready; i++) {
            Connection *connection = &connections[events[i].data.u32];
            ssize_t got = read(connection->fd, connection->buffer + connection->filled, BUFFER - connection->filled);
            if (got <= 0) { fprintf(stderr, "a connection was closed\n"); return 1; }
            connection->filled += got;
            long length = response_length(connection);
            if (length < 0) { fprintf(stderr, "not a 200 with a length: %.60s\n", connection->buffer); return 1; }
            if (length > BUFFER) { fprintf(stderr, "an answer of over %d bytes\n", BUFFER); return 1; }
            if (!length || connection->filled < (size_t)length) continue;
            answered++;
            double done = now();
            if (connection->due >= counting) latencies[counted++] = (done - connection->due) / 1e3;
            connection->filled = 0;
            connection->idle_since = done;
            idle[idle_tail++ % count] = events[i].data.u32;
        }
    }
    double spent = (now() - start) / 1e9;
    qsort(latencies, counted, sizeof *latencies, ascending);
    qsort(lateness, punctual, sizeof *lateness, ascending);
    printf("answered %zu\nunanswered %zu\nseconds %.3f\n", answered, due_tail - answered, spent);
    printf("p50 %.1f\np99 %.1f\np999 %.1f\n", percentile(latencies, counted, .5), percentile(latencies, counted, .99),
           percentile(latencies, counted, .999));
    printf("lateness_p50 %.1f\nlateness_p99 %.1f\n", percentile(lateness, punctual, .5), percentile(lateness, punctual, .99));
    return 0;
}

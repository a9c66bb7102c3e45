/*
 * The C library libnats as a peer. libnats_peer.py compiles and runs this program.
 *
 * Arguments: role, url, count, first report, size, traffic, CA file or "-", timeout, queue group, relay subject, batch,
 * start time, subjects. The program reports as lines of JSON, as the other peers do.
 *
 * Each subscription has a callback, which runs in a thread of the library (its default). There are no pending limits,
 * as in Kamailio's module: with the default limits, the library drops messages that arrive faster than they are handled.
 */
#include <nats/nats.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_MS 300

enum role { CONSUME, RELAY, RESPOND };

static enum role role;
static const char *relay_subject;
static int64_t count, next_report, step;
static int64_t received, size;      /* messages and bytes; the lock guards them if there are several subscriptions */
static int several;
static int64_t ended_at;
static char problem[256];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void check(natsStatus status, const char *what)
{
    if (status != NATS_OK) {
        fprintf(stderr, "libnats: %s: %s\n", what, natsStatus_GetText(status));
        exit(1);
    }
}

static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status, void *closure)
{
    snprintf(problem, sizeof problem, "%s", natsStatus_GetText(status));
}

static void end(natsConnection *connection)
{
    if (role == RELAY)
        check(natsConnection_Flush(connection), "flush");
    pthread_mutex_lock(&lock);
    ended_at = now();
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&lock);
}

static void count_message(natsConnection *connection, natsMsg *message)
{
    int64_t here;
    if (several)
        pthread_mutex_lock(&lock);
    here = ++received;
    size += natsMsg_GetDataLength(message);
    if (several)
        pthread_mutex_unlock(&lock);
    if (role == RELAY)
        check(natsConnection_Publish(connection, relay_subject, natsMsg_GetData(message),
                                     natsMsg_GetDataLength(message)), "publish");
    if (here == next_report) {
        if (here == count) {
            end(connection);
        } else {
            printf("{\"at\": %lld, \"received\": %lld}\n", (long long)now(), (long long)here);
            fflush(stdout);
            next_report += step;
        }
    }
}

static void on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *closure)
{
    if (role == RESPOND)
        check(natsConnection_Publish(connection, natsMsg_GetReply(message), natsMsg_GetData(message),
                                     natsMsg_GetDataLength(message)), "respond");
    else
        count_message(connection, message);
    natsMsg_Destroy(message);
}

static void wait_until_ended(double timeout)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)timeout;
    pthread_mutex_lock(&lock);
    while (!ended_at && pthread_cond_timedwait(&ended, &lock, &until) == 0)
        ;
    if (!ended_at)
        ended_at = now();
    pthread_mutex_unlock(&lock);
}

/* Mixed: 1,000 subjects, 16 to 1,024 bytes, a reply subject in each message, headers in every fifth message. */
static void publish(natsConnection *connection, int bytes, int mixed, int batch)
{
    char subject[32] = "bench", reply[40], call_id[40], *payload = malloc(bytes > 1024 ? bytes : 1024);
    natsMsg *message;
    int64_t began, number;

    memset(payload, 'x', bytes > 1024 ? bytes : 1024);
    srandom(1);
    began = now();
    for (number = 0; number < count; number++) {
        if (mixed) {
            snprintf(subject, sizeof subject, "bench.%ld", random() % 1000);
            snprintf(reply, sizeof reply, "_INBOX.bench.%08llx", (unsigned long long)number);
            bytes = 16 + random() % 1009;
        }
        if (mixed && number % 5 == 0) {
            check(natsMsg_Create(&message, subject, reply, payload, bytes), "message");
            snprintf(call_id, sizeof call_id, "%lld@bench", (long long)number);
            check(natsMsgHeader_Set(message, "Call-ID", call_id), "header");
            check(natsMsgHeader_Set(message, "Content-Type", "text/plain"), "header");
            check(natsConnection_PublishMsg(connection, message), "publish");
            natsMsg_Destroy(message);
        } else if (mixed) {
            check(natsConnection_PublishRequest(connection, subject, reply, payload, bytes), "publish");
        } else {
            check(natsConnection_Publish(connection, subject, payload, bytes), "publish");
        }
        if ((number + 1) % batch == 0 || number + 1 == count)
            check(natsConnection_Flush(connection), "flush");
    }
    printf("{\"began\": %lld, \"at\": %lld}\n", (long long)began, (long long)now());
    fflush(stdout);
    free(payload);
}

int main(int argc, char **argv)
{
    natsOptions *options;
    natsConnection *connection;
    natsSubscription *subscription;
    double timeout;
    int argument;

    if (argc < 14)
        return 2;
    count = atoll(argv[3]);
    next_report = step = atoll(argv[4]);
    timeout = atof(argv[8]);
    relay_subject = argv[10];
    several = argc > 14;
    role = strcmp(argv[1], "relay") == 0 ? RELAY : strcmp(argv[1], "respond") == 0 ? RESPOND : CONSUME;

    check(natsOptions_Create(&options), "options");
    check(natsOptions_SetURL(options, argv[2]), "url");
    check(natsOptions_SetErrorHandler(options, on_error, NULL), "error handler");
    if (strcmp(argv[7], "-") != 0) {
        check(natsOptions_SetSecure(options, true), "TLS");
        check(natsOptions_LoadCATrustedCertificates(options, argv[7]), "CA file");
        check(natsOptions_SetExpectedHostname(options, "localhost"), "host name");
    }
    check(natsConnection_Connect(&connection, options), "connect");
    if (strcmp(argv[1], "publish") == 0) {
        publish(connection, atoi(argv[5]), strcmp(argv[6], "mixed") == 0, atoi(argv[11]));
        return 0;
    }
    for (argument = 13; argument < argc; argument++) {
        check(natsConnection_QueueSubscribe(&subscription, connection, argv[argument], argv[9], on_message, NULL),
              "subscribe");
        check(natsSubscription_SetPendingLimits(subscription, -1, -1), "pending limits");
    }
    check(natsConnection_Flush(connection), "flush");
    printf("{\"ready\": true, \"pid\": %d, \"began\": %s}\n", (int)getpid(), argv[12]);
    fflush(stdout);
    wait_until_ended(timeout);
    nats_Sleep(SETTLE_MS);
    printf("{\"at\": %lld, \"received\": %lld, \"bytes\": %lld, \"notes\": [%s%s%s]}\n", (long long)ended_at,
           (long long)received, (long long)size, *problem ? "\"" : "", problem, *problem ? "\"" : "");
    fflush(stdout);
    return 0;
}

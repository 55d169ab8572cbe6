#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire/tls.h"
#include "tests/unit/proto/wire/tls_peer.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Against the implementation that most providers' servers stand on; skipped where there is no openssl program. */

enum { FIRST_PORT = 18110 };

static struct cert rsa_cert, ec_cert;
static char dir[] = "/tmp/weir-tls-XXXXXX", cert_file[2][64], key_file[2][64];
static struct tls_trust *trust;
static bool no_openssl;

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static int set_up(void **state)
{
    (void)state;
    no_openssl = system("openssl version >/dev/null 2>&1") != 0;
    psa_crypto_init();
    cert_make(&rsa_cert, &(struct cert_spec){.subject = "CN=r", .dns = "rsa.test", .ca = true, .rsa_bits = 2048});
    cert_make(&ec_cert, &(struct cert_spec){.subject = "CN=e", .dns = "ec.test", .ca = true});
    if (mkdtemp(dir) == NULL) return 1;
    struct buf pem = {0};
    struct cert *c[] = {&rsa_cert, &ec_cert};
    for (int i = 0; i < 2; i++) {
        unsigned char key[4096];
        MUST(mbedtls_pk_write_key_pem(&c[i]->key, key, sizeof key));
        snprintf(cert_file[i], sizeof cert_file[i], "%s/%d.crt", dir, i);
        snprintf(key_file[i], sizeof key_file[i], "%s/%d.key", dir, i);
        write_text(cert_file[i], c[i]->pem);
        write_text(key_file[i], (char *)key);
        buf_addz(&pem, c[i]->pem);
    }
    const char *why;
    trust = tls_trust_new(buf_view(&pem), &why);
    buf_fini(&pem);
    return trust == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        unlink(cert_file[i]);
        unlink(key_file[i]);
    }
    rmdir(dir);
    tls_trust_free(&trust);
    cert_free(&rsa_cert);
    cert_free(&ec_cert);
    mbedtls_psa_crypto_free();
    return 0;
}

static int dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
    for (int i = 0; i < 100; i++) { /* until it listens, 5 s at most */
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) return fd;
        close(fd);
        usleep(50000);
    }
    fail_msg("openssl s_server does not listen on %d", port);
    return -1;
}

static pid_t serve(int port, int which, const char *version, const char *more)
{
    pid_t pid = fork();
    if (pid != 0) return pid;
    char accept[16];
    snprintf(accept, sizeof accept, "%d", port);
    if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL) _exit(1);
    execlp("openssl", "openssl", "s_server", "-accept", accept, "-cert", cert_file[which], "-key", key_file[which],
           "-www", "-quiet", version, more, (char *)NULL);
    _exit(127);
}

static void flush(int fd, struct tls *t)
{
    struct buf *out = tls_out(t);
    while (buf_len(out) > 0) {
        ssize_t n = send(fd, buf_view(out).p, buf_len(out), MSG_NOSIGNAL);
        if (n <= 0) return;
        buf_consume(out, (size_t)n);
    }
}

static bool wants_redial; /* what the last get() was told */

/* One GET; the page that s_server -www makes tells of the session. */
static enum tls_state get(int port, const char *host, struct buf *ticket, struct buf *page, bool *ret_resumed)
{
    int fd = dial(port);
    char bytes[3000];
    struct tls *t = tls_new(trust, str_of(host), buf_view(ticket));
    enum tls_state s = tls_start(t);
    bool asked = false;
    ssize_t n;
    buf_clear(page);
    flush(fd, t);
    while (s != TLS_BAD && s != TLS_CLOSED && (n = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        s = tls_feed(t, (struct str){bytes, (size_t)n}, page);
        if (s == TLS_READY && !asked) tls_write(t, STR("GET / HTTP/1.0\r\n\r\n"));
        asked |= s == TLS_READY;
        flush(fd, t);
    }
    buf_clear(ticket);
    tls_ticket(t, ticket);
    *ret_resumed = tls_was_resumed(t);
    if (s == TLS_BAD) print_message("# %s: %s\n", host, tls_reason(t));
    wants_redial = tls_should_redial(t);
    tls_free(&t);
    close(fd);
    return s;
}

static void with_server(int nth, int which, const char *version, const char *more, bool fails_once)
{
    if (no_openssl) skip();
    int port = FIRST_PORT + (int)(getpid() % 16) * 5 + nth; /* runs side by side do not meet */
    const char *host = which == 0 ? "rsa.test" : "ec.test";
    struct buf ticket = {0}, page = {0};
    bool resumed;
    pid_t pid = serve(port, which, version, more);
    assert_true(pid > 0);
    enum tls_state s = get(port, host, &ticket, &page, &resumed);
    if (fails_once) {
        assert_int_equal(s, TLS_BAD);
        assert_true(wants_redial);
        s = get(port, host, &ticket, &page, &resumed);
    }
    bool whole = s == TLS_CLOSED && str_contains(buf_view(&page), STR("</pre>"));
    bool has_ticket = buf_len(&ticket) > 0, first_resumed = resumed;
    enum tls_state again = get(port, host, &ticket, &page, &resumed);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(whole && has_ticket && !first_resumed);
    assert_int_equal(again, TLS_CLOSED);
    assert_true(resumed && str_contains(buf_view(&page), STR("Reused")));
    buf_fini(&ticket);
    buf_fini(&page);
}

static void tls13_works(void **state)
{
    (void)state;
    with_server(0, 0, "-tls1_3", NULL, false);
    with_server(1, 1, "-tls1_3", NULL, false);
}

static void tls12_works(void **state)
{
    (void)state;
    with_server(2, 1, "-tls1_2", NULL, false);
    with_server(3, 0, "-tls1_2", NULL, false);
}

/* It insists on RSA-PSS under TLS 1.2 as long as PSS is offered. */
static void tls12_with_the_servers_preference_works_at_the_second_try(void **state)
{
    (void)state;
    with_server(4, 0, "-tls1_2", "-serverpref", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls13_works),
        cmocka_unit_test(tls12_works),
        cmocka_unit_test(tls12_with_the_servers_preference_works_at_the_second_try),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

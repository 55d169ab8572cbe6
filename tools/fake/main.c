/* weir-fake: one or more fake providers on real sockets. See README.md. */
#include "proto/base/mem.h"
#include "proto/base/version.h"
#include "tools/fake/conn.h"
#include "tools/fake/host.h"
#include "tools/fake/identity.h"
#include "tools/fake/tls_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct provider *providers;

struct provider *provider_named(struct str name)
{
    for (struct provider *p = providers; p != NULL; p = p->next)
        if (str_is(name, p->name)) return p;
    return NULL;
}

static void usage(FILE *to)
{
    fputs("weir-fake --listen HOST:PORT [options of this fake] [--listen … ] [--log FILE]\n"
          "\n"
          "  --listen HOST:PORT[,tls:CERT:KEY|,tls12:CERT:KEY]   one fake provider; port 0: a free one. The options "
          "behind it are its own:\n"
          "    --name NAME              said in its answers and in the log (fake-a, fake-b, …)\n"
          "    --dialect openai,responses,anthropic,converse,gemini,cohere,ollama   what it speaks (all)\n"
          "    --seed N                 makes the words (1)\n"
          "    --head-delay-ms N        before each answer (0)\n"
          "    --event-delay-ms N       between the events of a stream (0)\n"
          "    --as HOST                refuses and spells as that look-alike of OpenAI does: mistral, groq, deepseek, "
          "xai, "
          "cerebras,\n"
          "                             moonshot, zai, nvidia, together, perplexity\n"
          "    --lax                    does not refuse what only a strict provider refuses\n"
          "    --guard bearer|sigv4     wants a credential that a token endpoint of this process issued\n"
          "    --token-life-s N         of what its token endpoints issue (3600)\n"
          "  --log FILE                 one JSON line for each call, appended\n"
          "  --exit-with-parent         ends when who started it ends\n"
          "  --version\n"
          "\n"
          "Each fake that listens is one JSON line on standard output.\n",
          to);
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "weir-fake: %s: %s\n", what, why);
    exit(1);
}

static void bad_usage(const char *what, const char *option)
{
    fprintf(stderr, "weir-fake: %s: %s\n\n", what, option);
    usage(stderr);
    exit(2);
}

static const char *next_value(char **argv, int *i)
{
    if (argv[*i + 1] == NULL) bad_usage("a value is missing", argv[*i]);
    return argv[++*i];
}

static uint64_t next_number(char **argv, int *i)
{
    uint64_t n = 0;
    const char *option = argv[*i];
    if (!str_u64(str_of(next_value(argv, i)), &n) || n > UINT32_MAX) bad_usage("not a number", option);
    return n;
}

static void set_dialects(struct provider *p, struct str list)
{
    p->speaks_openai = p->speaks_responses = p->speaks_anthropic = p->speaks_converse = p->speaks_gemini = false;
    p->speaks_cohere = p->speaks_ollama = false;
    while (list.n > 0) {
        struct str one = str_split(&list, ',');
        if (str_is(one, "openai"))
            p->speaks_openai = true;
        else if (str_is(one, "responses"))
            p->speaks_responses = true;
        else if (str_is(one, "anthropic"))
            p->speaks_anthropic = true;
        else if (str_is(one, "converse"))
            p->speaks_converse = true;
        else if (str_is(one, "gemini"))
            p->speaks_gemini = true;
        else if (str_is(one, "cohere"))
            p->speaks_cohere = true;
        else if (str_is(one, "ollama"))
            p->speaks_ollama = true;
        else
            bad_usage("there are the dialects openai, responses, anthropic, converse, gemini, cohere and ollama",
                      "--dialect");
    }
}

static void set_guard(struct provider *p, const char *word)
{
    p->guard = strcmp(word, "bearer") == 0 ? GUARD_BEARER : GUARD_SIGV4;
    if (p->guard == GUARD_SIGV4 && strcmp(word, "sigv4") != 0)
        bad_usage("there are the guards bearer and sigv4", "--guard");
}

static void set_host(struct provider *p, const char *name)
{
    p->host = host_named(str_of(name));
    if (p->host == NULL) bad_usage("no such host", name);
}

static struct provider *add_provider(uv_loop_t *loop, const char *listen)
{
    struct provider **end = &providers;
    char name[16] = "fake-a";
    for (; *end != NULL; end = &(*end)->next) name[5]++;
    struct provider *p = *end = xcalloc(1, sizeof *p);
    provider_init(p, loop);
    p->listen = listen;
    p->name = xstrdup(name);
    p->seed = 1;
    p->token_life_s = 3600;
    p->speaks_openai = p->speaks_responses = p->speaks_anthropic = p->speaks_converse = p->speaks_gemini = true;
    p->speaks_cohere = p->speaks_ollama = true;
    return p;
}

static void read_options(int argc, char **argv, uv_loop_t *loop, const char **ret_log)
{
    struct provider *p = NULL;
    for (int i = 1; i < argc; i++) {
        const char *o = argv[i];
        if (strcmp(o, "--version") == 0) {
            printf("weir-fake %s\n", weir_version());
            exit(0);
        } else if (strcmp(o, "--help") == 0) {
            usage(stdout);
            exit(0);
        } else if (strcmp(o, "--listen") == 0)
            p = add_provider(loop, next_value(argv, &i));
        else if (strcmp(o, "--log") == 0)
            *ret_log = next_value(argv, &i);
        else if (strcmp(o, "--exit-with-parent") == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            if (getppid() == 1) exit(0);
        } else if (p == NULL)
            bad_usage("comes before any --listen, or is not known", o);
        else if (strcmp(o, "--name") == 0) {
            free(p->name);
            p->name = xstrdup(next_value(argv, &i));
        } else if (strcmp(o, "--dialect") == 0)
            set_dialects(p, str_of(next_value(argv, &i)));
        else if (strcmp(o, "--seed") == 0)
            p->seed = next_number(argv, &i);
        else if (strcmp(o, "--head-delay-ms") == 0)
            p->pace.head_ms = (uint32_t)next_number(argv, &i);
        else if (strcmp(o, "--event-delay-ms") == 0)
            p->pace.event_ms = (uint32_t)next_number(argv, &i);
        else if (strcmp(o, "--as") == 0)
            set_host(p, next_value(argv, &i));
        else if (strcmp(o, "--lax") == 0)
            p->lax = true;
        else if (strcmp(o, "--guard") == 0)
            set_guard(p, next_value(argv, &i));
        else if (strcmp(o, "--token-life-s") == 0)
            p->token_life_s = (uint32_t)next_number(argv, &i);
        else
            bad_usage("unknown option", o);
    }
    if (providers == NULL) bad_usage("there is nothing to do without", "--listen");
}

static void set_up_tls(struct provider *p, struct str tls)
{
    const char *why = NULL;
    struct str word = str_split(&tls, ':'), cert = str_split(&tls, ':');
    if ((!str_is(word, "tls") && !str_is(word, "tls12")) || cert.n == 0 || tls.n == 0)
        bad_usage("expected HOST:PORT,tls:CERT:KEY", p->listen);
    char cert_path[4096], key_path[4096];
    snprintf(cert_path, sizeof cert_path, "%.*s", STR_FMT(cert));
    snprintf(key_path, sizeof key_path, "%.*s", STR_FMT(tls));
    p->tls = tls_server_new(cert_path, key_path, str_is(word, "tls12"), &why);
    if (p->tls == NULL) die(p->listen, why);
}

static void print_address(struct provider *p, const char *host)
{
    struct sockaddr_storage address;
    int n = sizeof address;
    uv_tcp_getsockname(&p->server, (struct sockaddr *)&address, &n);
    const struct sockaddr_in *in4 = (const void *)&address;
    const struct sockaddr_in6 *in6 = (const void *)&address;
    bool six = address.ss_family == AF_INET6;
    unsigned port = ntohs(six ? in6->sin6_port : in4->sin_port);
    printf("{\"fake\":\"%s\",\"listen\":\"%s%s%s:%u\",\"port\":%u,\"tls\":%s}\n", p->name, six ? "[" : "", host,
           six ? "]" : "", port, port, p->tls != NULL ? "true" : "false");
}

static void start(struct provider *p)
{
    struct str tls = str_of(p->listen), address = str_split(&tls, ',');
    ptrdiff_t colon = str_rchr(address, ':');
    uint64_t port = 0;
    if (colon <= 0 || !str_u64(str_slice(address, (size_t)colon + 1, address.n), &port) || port > 65535)
        bad_usage("expected HOST:PORT", p->listen);
    struct str name = str_slice(address, 0, (size_t)colon);
    if (name.n > 2 && name.p[0] == '[') name = str_slice(name, 1, name.n - 1);
    char host[64];
    snprintf(host, sizeof host, "%.*s", STR_FMT(name));
    if (tls.n > 0) set_up_tls(p, tls);
    struct sockaddr_storage to;
    if (uv_ip4_addr(host, (int)port, (struct sockaddr_in *)&to) != 0 &&
        uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)&to) != 0)
        bad_usage("not an IP address", p->listen);
    uv_tcp_init(p->loop, &p->server);
    p->server.data = p;
    int r = uv_tcp_bind(&p->server, (const struct sockaddr *)&to, 0);
    if (r == 0) r = uv_listen((uv_stream_t *)&p->server, 1024, conn_on_connection);
    if (r != 0) die(p->listen, uv_strerror(r));
    print_address(p, host);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    const char *log = NULL, *why = NULL;
    read_options(argc, argv, loop, &log);
    signal(SIGPIPE, SIG_IGN);
    if (log != NULL && !log_open(log, loop, &why)) die(log, why);
    for (struct provider *p = providers; p != NULL; p = p->next) start(p);
    fflush(stdout);
    uv_signal_t on_term, on_int;
    uv_signal_init(loop, &on_term);
    uv_signal_init(loop, &on_int);
    uv_signal_start(&on_term, on_signal, SIGTERM);
    uv_signal_start(&on_int, on_signal, SIGINT);
    uv_run(loop, UV_RUN_DEFAULT);
    log_flush();
    return 0;
}

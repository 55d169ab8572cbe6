/* weir call MODEL "text": one call through the running weir, the answer on standard output, what it cost on standard error. */
#include "tools/cli/http.h"
#include "tools/cli/link.h"
#include "tools/cli/options.h"
#include "tools/cli/print.h"
#include "tools/cli/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

enum { CALL_TIMEOUT_MS = 600000 };

static bool read_all(FILE *from, struct buf *out)
{
    for (;;) {
        size_t n = fread(buf_reserve(out, 16384), 1, 16384, from);
        buf_commit(out, n);
        if (n == 0) return !ferror(from);
    }
}

/* The key never stands on the command line, where every user of the machine can read it. */
static bool read_key(const char *path, struct buf *headers)
{
    struct buf key = {0};
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    bool ok = f != NULL && read_all(f, &key);
    buf_addc(&key, '\0');
    const char *text = buf_view(&key).p;
    if (ok)
        buf_addf(headers, "Authorization: Bearer %.*s\r\n", (int)strcspn(text, "\r\n"), text);
    else
        fprintf(stderr, "weir call: cannot read the key file %s\n", path);
    if (f != NULL && f != stdin) fclose(f);
    buf_fini(&key);
    return ok;
}

static bool find_endpoint(const char *state, char *out, size_t out_bytes, int *ret_code)
{
    struct link l;
    bool ok = link_open(&l, state, false) && link_ask(&l, "status", NULL, NULL);
    struct str endpoint = ok ? admin_get_str(l.data, "endpoint") : STR("");
    snprintf(out, out_bytes, "%.*s", STR_FMT(endpoint));
    *ret_code = l.exit_code;
    link_close(&l);
    return ok && endpoint.n > 0;
}

static void print_text(yyjson_val *root)
{
    yyjson_val *message = yyjson_ptr_get(root, "/choices/0/message");
    const char *text = yyjson_get_str(yyjson_obj_get(message, "content"));
    if (text == NULL) text = yyjson_get_str(yyjson_obj_get(message, "refusal"));
    if (text != NULL) printf("%s\n", text);
}

static void print_cost(const struct http_reply *r, yyjson_val *root)
{
    yyjson_val *usage = yyjson_obj_get(root, "usage");
    struct str provider = http_reply_header(r, "x-weir-provider"), model = http_reply_header(r, "x-weir-model");
    struct str cost = http_reply_header(r, "x-weir-cost-usd"), tries = http_reply_header(r, "x-weir-attempts");
    fprintf(stderr, "%.*s/%.*s  %.2f s  %llu+%llu tok  ", STR_FMT(provider), STR_FMT(model), (double)r->us / 1e6,
            (unsigned long long)yyjson_get_uint(yyjson_obj_get(usage, "prompt_tokens")),
            (unsigned long long)yyjson_get_uint(yyjson_obj_get(usage, "completion_tokens")));
    if (cost.n > 0)
        fprintf(stderr, "$%.*s", STR_FMT(cost));
    else
        fprintf(stderr, "cost not known");
    if (tries.n > 0 && !str_is(tries, "1")) fprintf(stderr, "  %.*s tries", STR_FMT(tries));
    fprintf(stderr, "   → weir explain %.*s\n", STR_FMT(http_reply_header(r, "x-request-id")));
}

static int print_answer(const struct http_reply *r, enum output output)
{
    struct str body = buf_view(&r->body);
    yyjson_doc *doc = yyjson_read(body.p, body.n, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *message = yyjson_get_str(yyjson_ptr_get(root, "/error/message"));
    bool ok = r->status == 200;
    if (output == OUTPUT_JSON)
        printf("%.*s\n", STR_FMT(str_trim(body)));
    else if (ok)
        print_text(root);
    if (ok)
        print_cost(r, root);
    else
        fprintf(stderr, "weir call: %u: %s\n", r->status, message != NULL ? message : "no readable error");
    yyjson_doc_free(doc);
    return ok ? 0 : 1;
}

static void write_body(const char *model, const char *system, struct str text, struct buf *body)
{
    buf_addz(body, "{\"model\":");
    buf_add_json_str(body, str_of(model));
    buf_addz(body, ",\"messages\":[");
    if (system != NULL) {
        buf_addz(body, "{\"role\":\"system\",\"content\":");
        buf_add_json_str(body, str_of(system));
        buf_addz(body, "},");
    }
    buf_addz(body, "{\"role\":\"user\",\"content\":");
    buf_add_json_str(body, text);
    buf_addz(body, "}]}");
}

int cmd_call(int argc, char **argv)
{
    const char *state = NULL, *system = NULL, *key_file = NULL, *format = "table";
    char endpoint[256];
    enum output output;
    int code = 1;
    struct buf headers = {0}, body = {0}, typed = {0};
    struct http_reply r = {0};
    const struct option own[] = {{"--state", NULL, &state, NULL},
                                 {"--system", NULL, &system, NULL},
                                 {"--key-file", NULL, &key_file, NULL},
                                 {"--output", "-o", &format, NULL}};
    if (!options_parse("call", &argc, argv, own, 4) || !output_parse(format, &output)) return 2;
    if (argc != 2 || output == OUTPUT_CSV) {
        fprintf(stderr, "weir call: say MODEL \"text\" (- reads the text from standard input)\n");
        return 2;
    }
    buf_addz(&headers, "Content-Type: application/json\r\nUser-Agent: weir-call\r\n");
    if (key_file != NULL && !read_key(key_file, &headers)) goto out;
    if (strcmp(argv[1], "-") == 0 && !read_all(stdin, &typed)) goto out;
    write_body(argv[0], system, strcmp(argv[1], "-") == 0 ? buf_view(&typed) : str_of(argv[1]), &body);
    if (!find_endpoint(state, endpoint, sizeof endpoint, &code)) goto out;
    struct http_question q = {.endpoint = endpoint,
                              .method = "POST",
                              .path = "/v1/chat/completions",
                              .headers = (buf_addc(&headers, '\0'), buf_view(&headers).p),
                              .body = buf_view(&body),
                              .timeout_ms = CALL_TIMEOUT_MS};
    if (http_ask(&q, &r)) {
        code = print_answer(&r, output);
    } else {
        fprintf(stderr, "weir call: %s\n", r.why);
        code = 6;
    }
    http_reply_fini(&r);
out:
    buf_fini(&headers);
    buf_fini(&body);
    buf_fini(&typed);
    return code;
}

#include "proto/dialect/gemini.h"

#include "proto/dialect/client_error.h"
#include "proto/dialect/tree.h"
#include "proto/dialect/upstream_error.h"
#include "proto/wire/url.h"

static void write_error(enum weir_err e, struct str message, struct str request_id, struct buf *out)
{
    (void)request_id; /* a header only */
    gemini_error_write(e, message, out);
}

const char *gemini_method(bool stream, bool counts, bool json_array)
{
    return counts       ? ":countTokens"
           : !stream    ? ":generateContent"
           : json_array ? ":streamGenerateContent"
                        : ":streamGenerateContent?alt=sse";
}

/* "/v1beta/models/" MODEL ":generateContent" */
static void write_path(const struct target_path *t, struct buf *out)
{
    buf_add(out, t->base.n > 0 ? t->base : STR("/v1beta"));
    buf_add(out, STR("/models/"));
    url_percent_encode(t->model, "/", out);
    buf_addz(out, gemini_method(t->stream, t->counts, t->json_array));
}

/* Its own files, and videos of YouTube; only newer models fetch what else lies in the web. Source: Gemini API reference, FileData. */
static bool takes_url(const struct part *p)
{
    static const char *const OWN[] = {"https://generativelanguage.googleapis.com/", "https://www.youtube.com/",
                                      "https://youtu.be/"};
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++)
        if (str_starts(p->data, str_of(OWN[i]))) return true;
    return false;
}

const struct dialect gemini = {
    .id = DIALECT_GEMINI,
    .name = "gemini",
    .read_request = gemini_read_request,
    .write_request = gemini_write_request,
    .read_answer = gemini_read_answer,
    .write_answer = gemini_write_answer,
    .takes_url = takes_url,
    .reader_bytes = sizeof(struct gemini_reader),
    .writer_bytes = sizeof(struct gemini_writer),
    .read_event = gemini_read_event,
    .read_end = gemini_read_end,
    .write_delta = gemini_write_delta,
    .cites = CITES_ALL,
    .write_ping = gemini_write_ping,
    .write_end = gemini_write_end,
    .read_error = upstream_error_read,
    .error_status = gemini_error_status,
    .write_error = write_error,
    .write_retry = gemini_error_write_retry,
    .write_stream_error = gemini_write_stream_error,
    .path = "/models/",
    .base_is_whole = true,
    .model_in_path = true,
    .write_path = write_path,
};

yyjson_val *gemini_get(yyjson_val *o, const char *camel)
{
    char snake[48];
    size_t n = 0;
    yyjson_val *v = tree_get(o, camel);
    if (v != NULL) return v;
    for (const char *c = camel; *c != '\0' && n + 2 < sizeof snake; c++) {
        bool upper = *c >= 'A' && *c <= 'Z';
        if (upper) snake[n++] = '_';
        snake[n++] = (char)(upper ? *c + ('a' - 'A') : *c);
    }
    snake[n] = '\0';
    return tree_get(o, snake);
}

struct str gemini_get_str(yyjson_val *o, const char *camel)
{
    return tree_str(gemini_get(o, camel));
}

#include "tools/fake/invoke.h"

#include "proto/base/base64.h"
#include "proto/wire/eventstream.h"

#include <yyjson.h>

#define STREAMED STR("/invoke-with-response-stream")
#define WHOLE    STR("/invoke")

bool invoke_is_streamed(struct str path)
{
    return str_starts(path, STR("/model/")) && str_ends(path, STREAMED);
}

bool invoke_is_path(struct str path)
{
    return invoke_is_streamed(path) || (str_starts(path, STR("/model/")) && str_ends(path, WHOLE));
}

struct str invoke_model(struct str path)
{
    return str_slice(path, 7, path.n - (invoke_is_streamed(path) ? STREAMED.n : WHOLE.n));
}

/* {"bytes":"…","p":"…"}: one event of Anthropic's; "p" is padding of any length. */
static void write_chunk(struct str event, unsigned number, struct buf *out)
{
    ptrdiff_t at = str_find(event, STR("data: "));
    if (at < 0) return;
    size_t start = eventstream_begin_json(out, STR("event"), STR("chunk"));
    buf_addz(out, "{\"bytes\":\"");
    base64_encode(str_trim(str_slice(event, (size_t)at + 6, event.n)), out);
    buf_addf(out, "\",\"p\":\"%.*s\"}", (int)(number * 7 % 26), "abcdefghijklmnopqrstuvwxyz");
    (void)eventstream_end(out, start);
}

static void wrap_stream(struct answer *a)
{
    struct buf plain = a->body;
    struct str bytes = buf_view(&plain);
    size_t from = 0;
    a->body = (struct buf){0};
    for (unsigned i = 0; i < a->events; i++) {
        write_chunk(str_slice(bytes, from, a->event_end[i]), i, &a->body);
        from = a->event_end[i];
        a->event_end[i] = buf_len(&a->body);
    }
    a->content_type = "application/vnd.amazon.eventstream";
    buf_fini(&plain);
}

const char *invoke_error_name(unsigned status)
{
    switch (status) {
    case 400: return "ValidationException";
    case 401:
    case 403: return "AccessDeniedException";
    case 404: return "ResourceNotFoundException";
    case 408: return "ModelTimeoutException";
    case 409: return "ConflictException";
    case 424: return "ModelErrorException";
    case 429: return "ThrottlingException";
    case 503: return "ServiceUnavailableException";
    default: return status < 500 ? "ValidationException" : "InternalServerException";
    }
}

static void wrap_error(struct answer *a, const char *name)
{
    struct str bytes = buf_view(&a->body);
    yyjson_doc *doc = yyjson_read(bytes.p, bytes.n, 0);
    const char *message = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "error"), "message"));
    struct buf body = {0};
    buf_addz(&body, "{\"message\":");
    buf_add_json_str(&body, str_of(message != NULL ? message : "The request failed."));
    buf_addz(&body, "}");
    yyjson_doc_free(doc);
    buf_fini(&a->body);
    a->body = body;
    buf_clear(&a->headers); /* no retry-after there */
    answer_header(a, "x-amzn-ErrorType", "%s", name != NULL ? name : invoke_error_name(a->status));
}

void invoke_wrap(struct answer *a, const char *error_name)
{
    if (a->status != 200)
        wrap_error(a, error_name);
    else if (a->is_stream)
        wrap_stream(a);
}

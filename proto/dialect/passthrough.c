#include "proto/dialect/passthrough.h"

#include "proto/dialect/mark.h"
#include "proto/dialect/openai_rules.h"
#include "proto/wire/json.h"

enum { PATCHES = 3 + OPENAI_FIT_PATCHES };

static struct str quoted(struct str text, struct arena *a)
{
    struct buf b = {0};
    buf_add_json_str(&b, text);
    struct str copy = arena_copy(a, buf_view(&b));
    buf_fini(&b);
    return copy;
}

/* {"include_usage":true}, beside what else the client set there. */
static struct str stream_options(struct str body, struct arena *a, struct buf *scratch)
{
    const struct json_patch ask = {"include_usage", STR("true")};
    struct str value = STR_NULL;
    struct buf spliced = {0};
    if (json_find(body, "stream_options", &value, scratch) != JSON_FOUND || !json_splice(value, &ask, 1, &spliced)) {
        buf_fini(&spliced);
        return STR("{\"include_usage\":true}");
    }
    struct str copy = arena_copy(a, buf_view(&spliced));
    buf_fini(&spliced);
    return copy;
}

static const char *messages_key(enum dialect_id dialect)
{
    return dialect == DIALECT_GEMINI ? "contents" : dialect == DIALECT_RESPONSES ? "input" : "messages";
}

static bool strip_marks(enum dialect_id dialect, bool all, struct str body, struct arena *a, struct buf *scratch,
                        struct str *ret, const char **ret_what)
{
    struct str messages;
    struct buf clean = {0};
    /* The search for the mark costs a memmem; the tree is only made where it was found. */
    if ((!all && !str_contains(body, dialect == DIALECT_GEMINI ? STR(MARK_BASE64) : STR(MARK))) ||
        json_find(body, messages_key(dialect), &messages, scratch) != JSON_FOUND)
        return false;
    bool changed = mark_strip(dialect, all, messages, a, &clean, ret_what);
    if (changed) *ret = arena_copy(a, buf_view(&clean));
    buf_fini(&clean);
    return changed;
}

enum weir_err passthrough_request(enum dialect_id dialect, const struct call *call, struct str body, struct str model,
                                  struct arena *a, struct buf *out, struct str *ret_loss, struct str *ret_why)
{
    struct json_patch patch[PATCHES];
    struct buf scratch = {0};
    struct loss loss = {.n = 0};
    struct str messages;
    const char *what = "";
    unsigned n = 0;
    if (!str_eq(call->model, model) && !dialect_of(dialect)->model_in_path) {
        patch[n++] = (struct json_patch){"model", quoted(model, a)};
        if (dialect == DIALECT_OPENAI_CHAT || dialect == DIALECT_RESPONSES)
            n += openai_fit_passed(call, body, model, patch + n, &scratch, &loss);
    }
    if (dialect == DIALECT_OPENAI_CHAT && call->stream && !call->include_usage)
        patch[n++] = (struct json_patch){"stream_options", stream_options(body, a, &scratch)};
    if (strip_marks(dialect, call->without_reasoning, body, a, &scratch, &messages, &what)) {
        patch[n++] = (struct json_patch){messages_key(dialect), messages};
        struct str names = str_of(what);
        while (names.n > 0) loss_add(&loss, str_split(&names, ','));
    }
    *ret_loss = arena_copy(a, loss_view(&loss));
    buf_fini(&scratch);
    if (n == 0) {
        buf_add(out, body);
        return WEIR_OK;
    }
    if (json_splice(body, patch, n, out)) return WEIR_OK;
    *ret_why = STR("the body must be a JSON object");
    return WEIR_BAD_REQUEST;
}

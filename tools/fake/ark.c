#include "tools/fake/ark.h"

#include "proto/base/clock.h"
#include "tools/fake/provider.h"

#include <stdio.h>
#include <string.h>

struct task {
    char id[48], model[64], resolution[8], ratio[12];
    const struct provider *of; /* NULL: free, or deleted */
    uint64_t made_ms, queue_ms, run_ms;
    int64_t seconds;
    bool fails, expires, cancelled, no_usage;
};

static struct task tasks[ARK_TASKS];
static uint64_t last_number;
static const struct str BASE = {"/contents/generations/tasks", 27}, FILES = {"/ark-files/", 11};

static uint64_t now_ms(void)
{
    return clock_wall_ns() / 1000000u;
}

static const char *state_of(const struct task *t)
{
    uint64_t age = now_ms() - t->made_ms;
    if (t->cancelled) return "cancelled";
    if (age < t->queue_ms) return "queued";
    if (age < t->queue_ms + t->run_ms) return "running";
    return t->fails ? "failed" : t->expires ? "expired" : "succeeded";
}

static struct task *find(const struct provider *of, struct str id)
{
    for (unsigned i = 0; i < ARK_TASKS; i++)
        if (tasks[i].of == of && str_is(id, tasks[i].id)) return &tasks[i];
    return NULL;
}

/* ---- create ---- */

static void bad(struct refusal *r, const char *code, const char *param, struct str message)
{
    refuse(r, 400, "BadRequest", code, str_of(param), message);
}

static bool is_one_of(struct str s, const char *words)
{
    struct str rest = str_of(words);
    while (rest.n > 0)
        if (str_eq(str_split(&rest, ' '), s)) return true;
    return false;
}

static uint64_t wish(struct str prompt, const char *name, uint64_t usual)
{
    char text[32];
    int n = snprintf(text, sizeof text, "[[task:%s", name);
    ptrdiff_t at = str_find(prompt, (struct str){text, (size_t)n});
    uint64_t v = 1;
    if (at < 0) return usual;
    struct str rest = str_slice(prompt, (size_t)at + (size_t)n, prompt.n);
    rest = str_slice(rest, 0, (size_t)(str_chr(rest, ']') > 0 ? str_chr(rest, ']') : 0));
    return rest.n > 1 && rest.p[0] == '=' && str_u64(str_slice(rest, 1, rest.n), &v) ? v : 1;
}

/* The text of the prompt; empty: refused. */
static struct str read_content(yyjson_val *content, struct refusal *r)
{
    struct str prompt = STR_NULL;
    size_t i, n;
    yyjson_val *part;
    if (!yyjson_is_arr(content) || yyjson_arr_size(content) == 0) {
        bad(r, "MissingParameter", "content", STR("The request failed because it is missing `content` parameter."));
        return STR_NULL;
    }
    yyjson_arr_foreach(content, i, n, part)
    {
        struct str type = val_str(yyjson_obj_get(part, "type"));
        struct str url = val_str(yyjson_obj_get(yyjson_obj_get(part, "image_url"), "url"));
        if (str_is(type, "text"))
            prompt = val_str(yyjson_obj_get(part, "text"));
        else if (!str_is(type, "image_url") ||
                 (!str_starts(url, STR("https://")) && !str_starts(url, STR("data:image/")) &&
                  !str_starts(url, STR("asset://"))) ||
                 !is_one_of(val_str(yyjson_obj_get(part, "role")), "first_frame last_frame reference_image"))
            bad(r, "InvalidParameter", "content",
                STR("The parameter `content` specified in the request is not valid."));
    }
    if (prompt.n == 0 && r->status == 0)
        bad(r, "MissingParameter", "content.text", STR("The request failed because it is missing a text prompt."));
    return prompt;
}

static void create(struct plain_call *call, struct refusal *r, struct answer *out)
{
    static const char *const known[] = {"model",
                                        "content",
                                        "resolution",
                                        "ratio",
                                        "duration",
                                        "frames",
                                        "seed",
                                        "draft",
                                        "tools",
                                        "camera_fixed",
                                        "watermark",
                                        "priority",
                                        "service_tier",
                                        "generate_audio",
                                        "return_last_frame",
                                        "execution_expires_after",
                                        "callback_url",
                                        "safety_identifier",
                                        NULL};
    yyjson_doc *doc = yyjson_read(call->body.p, call->body.n, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *duration = yyjson_obj_get(root, "duration");
    struct str prompt = STR_NULL, model = val_str(yyjson_obj_get(root, "model")),
               resolution = val_str(yyjson_obj_get(root, "resolution")), ratio = val_str(yyjson_obj_get(root, "ratio"));
    const char *unknown = yyjson_is_obj(root) ? first_unknown(root, known) : NULL;
    int64_t seconds = duration != NULL ? yyjson_get_sint(duration) : 5;
    if (!yyjson_is_obj(root) || unknown != NULL)
        bad(r, "InvalidParameter", unknown != NULL ? unknown : "body", STR("The parameter is not known."));
    else if (model.n == 0)
        bad(r, "MissingParameter", "model", STR("The request failed because it is missing `model` parameter."));
    else
        prompt = read_content(yyjson_obj_get(root, "content"), r);
    if (r->status == 0 &&
        ((duration != NULL && !yyjson_is_int(duration)) || seconds < -1 || seconds > 30 || seconds == 0))
        bad(r, "InvalidParameter", "duration", STR("The parameter `duration` specified in the request is not valid."));
    if (r->status == 0 && resolution.n > 0 && !is_one_of(resolution, "480p 720p 1080p 4k"))
        bad(r, "InvalidParameter", "resolution", STR("The parameter `resolution` is not valid."));
    if (r->status == 0 && ratio.n > 0 && !is_one_of(ratio, "16:9 4:3 1:1 3:4 9:16 21:9 adaptive"))
        bad(r, "InvalidParameter", "ratio", STR("The parameter `ratio` is not valid."));
    if (r->status == 0 && str_contains(prompt, STR("[[task:sensitive]]")))
        bad(r, "InputTextSensitiveContentDetected", "",
            STR("The request failed because the input text may contain sensitive information."));
    call->model = arena_copy(call->arena, model);
    if (r->status == 0) {
        struct task *t = &tasks[last_number++ % ARK_TASKS];
        *t = (struct task){.of = call->of, .made_ms = now_ms(), .seconds = seconds > 0 ? seconds : 5};
        snprintf(t->id, sizeof t->id, "cgt-20261127-%06llu", (unsigned long long)last_number);
        snprintf(t->model, sizeof t->model, "%.*s", STR_FMT(model));
        snprintf(t->resolution, sizeof t->resolution, "%.*s", STR_FMT(resolution.n > 0 ? resolution : STR("720p")));
        snprintf(t->ratio, sizeof t->ratio, "%.*s", STR_FMT(ratio.n > 0 ? ratio : STR("16:9")));
        t->queue_ms = wish(prompt, "queue", 0);
        t->run_ms = wish(prompt, "run", 200);
        t->fails = wish(prompt, "fail", 0) != 0;
        t->expires = wish(prompt, "expire", 0) != 0;
        t->no_usage = wish(prompt, "nousage", 0) != 0;
        buf_addf(&out->body, "{\"id\":\"%s\"}", t->id);
    }
    yyjson_doc_free(doc);
}

/* ---- get, list, delete ---- */

static void write_task(const struct task *t, struct str host, struct buf *out)
{
    const char *state = state_of(t);
    bool done = strcmp(state, "succeeded") == 0;
    long long tokens = (long long)t->seconds * 1280 * 720 * 24 / 1024, made_s = (long long)t->made_ms / 1000;
    long long ended_s = (long long)(t->made_ms + t->queue_ms + t->run_ms) / 1000;
    buf_addf(out, "{\"id\":\"%s\",\"model\":\"%s\",\"status\":\"%s\",\"error\":", t->id, t->model, state);
    buf_addz(out, strcmp(state, "failed") == 0
                      ? "{\"code\":\"OutputVideoSensitiveContentDetected\",\"message\":\"The request "
                        "failed because the output video may contain sensitive information.\"}"
                      : "null");
    if (done)
        buf_addf(out, ",\"content\":{\"video_url\":\"http://%.*s%.*s%s.mp4?X-Tos-Expires=86400\"}", STR_FMT(host),
                 STR_FMT(FILES), t->id);
    if (done && !t->no_usage)
        buf_addf(out, ",\"usage\":{\"completion_tokens\":%lld,\"total_tokens\":%lld}", tokens, tokens);
    buf_addf(
        out,
        ",\"created_at\":%lld,\"updated_at\":%lld,\"seed\":42,\"resolution\":\"%s\",\"ratio\":\"%s\",\"duration\":%lld,"
        "\"framespersecond\":24,\"service_tier\":\"default\",\"execution_expires_after\":172800}",
        made_s, done ? ended_s : made_s, t->resolution, t->ratio, (long long)t->seconds);
}

/* "page_size=20" of the query. */
static uint64_t query_number(struct str query, const char *name, uint64_t usual)
{
    uint64_t n;
    while (query.n > 0) {
        struct str pair = str_split(&query, '&'), key = str_split(&pair, '=');
        if (str_is(key, name)) return str_u64(pair, &n) && n > 0 && n <= 500 ? n : usual;
    }
    return usual;
}

/* Newest first. */
static void list(struct plain_call *call, struct answer *out)
{
    uint64_t size = query_number(call->head->query, "page_size", 20), n = 0;
    uint64_t skip = (query_number(call->head->query, "page_num", 1) - 1) * size;
    buf_addz(&out->body, "{\"items\":[");
    for (uint64_t number = last_number; number > 0 && last_number - number < ARK_TASKS; number--) {
        const struct task *t = &tasks[(number - 1) % ARK_TASKS];
        if (t->of != call->of) continue;
        n++;
        if (n <= skip || n > skip + size) continue;
        if (n > skip + 1) buf_addc(&out->body, ',');
        write_task(t, http1_get(call->head, "host"), &out->body);
    }
    buf_addf(&out->body, "],\"total\":%llu}", (unsigned long long)n);
}

static void remove_task(struct task *t, struct refusal *r, struct answer *out)
{
    const char *state = state_of(t);
    if (strcmp(state, "running") == 0) {
        refuse(r, 409, "Conflict", "InvalidAction.TaskRunning", STR_NULL, STR("A task that runs cannot be cancelled."));
        return;
    }
    if (strcmp(state, "queued") == 0)
        t->cancelled = true;
    else
        t->of = NULL;
    buf_addz(&out->body, "{}");
}

static bool serve_file(struct plain_call *call, struct answer *out)
{
    struct str name = str_slice(call->head->path, FILES.n, call->head->path.n);
    const struct task *t = name.n > 4 ? find(call->of, str_slice(name, 0, name.n - 4)) : NULL;
    if (t == NULL) return false;
    out->content_type = "video/mp4";
    buf_addf(&out->body, "....ftypmp42 %s ", t->id);
    for (unsigned i = 0; i < 100000; i++) buf_addc(&out->body, (char)(i * 7));
    return true;
}

bool ark_serve(struct plain_call *call, struct refusal *ret_refusal, struct answer *out)
{
    struct str path = call->head->path, method = call->head->method;
    if (str_starts(path, FILES)) return serve_file(call, out);
    ptrdiff_t at = str_find(path, BASE);
    if (at < 0) return false;
    struct str rest = str_slice(path, (size_t)at + BASE.n, path.n);
    if (rest.n == 0) {
        if (str_is(method, "POST"))
            create(call, ret_refusal, out);
        else
            list(call, out);
        return true;
    }
    struct task *t = find(call->of, str_slice(rest, 1, rest.n));
    if (t == NULL)
        refuse(ret_refusal, 404, "NotFound", "NotFound", STR_NULL, STR("The task is not found."));
    else if (str_is(method, "DELETE"))
        remove_task(t, ret_refusal, out);
    else
        write_task(t, http1_get(call->head, "host"), &out->body);
    return true;
}

#include "proto/dialect/tree.h"
#include "proto/dialect/video.h"
#include "proto/wire/json.h"

#include <string.h>

enum { USUAL_RUN_S = 120, KEPT_S = 86400 }; /* a task's middle run; how long Ark keeps the file */

/* ---- a task's state ---- */

static bool read_state(enum video_form form, struct str word, enum video_state *ret_state)
{
    static const struct {
        const char *word;
        enum video_form form;
        enum video_state state;
    } rows[] = {
        {"queued", VIDEO_ARK, VIDEO_OPEN},         {"running", VIDEO_ARK, VIDEO_OPEN},
        {"succeeded", VIDEO_ARK, VIDEO_DONE},      {"failed", VIDEO_ARK, VIDEO_FAILED},
        {"cancelled", VIDEO_ARK, VIDEO_CANCELLED}, {"expired", VIDEO_ARK, VIDEO_EXPIRED},
        {"queued", VIDEO_OPENAI, VIDEO_OPEN},      {"in_progress", VIDEO_OPENAI, VIDEO_OPEN},
        {"completed", VIDEO_OPENAI, VIDEO_DONE},   {"failed", VIDEO_OPENAI, VIDEO_FAILED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].form == form && str_is(word, rows[i].word)) {
            *ret_state = rows[i].state;
            return true;
        }
    return false;
}

static int64_t seconds_of(yyjson_val *task)
{
    int64_t n = tree_get_i64(task, "duration"), frames = tree_get_i64(task, "frames"),
            fps = tree_get_i64(task, "framespersecond");
    if (n > 0) return n;
    return frames > 0 ? (frames + (fps > 0 ? fps : 24) - 1) / (fps > 0 ? fps : 24) : 0;
}

bool video_task_read(enum video_form form, struct str body, struct arena *a, struct video_task *ret_task)
{
    yyjson_val *root;
    struct str why, seconds;
    struct video_task t = {.tokens = -1};
    int64_t n = 0;
    if (tree_read(body, a, &root, &why) != WEIR_OK || !read_state(form, tree_get_str(root, "status"), &t.state))
        return false;
    t.error = tree_get_str(tree_get(root, "error"), "code");
    if (form == VIDEO_ARK) {
        yyjson_val *usage = tree_get(root, "usage");
        t.tokens = tree_get_i64(usage, "completion_tokens");
        if (t.tokens < 0) t.tokens = tree_get_i64(usage, "total_tokens");
        t.flex = str_is(tree_get_str(root, "service_tier"), "flex");
        n = seconds_of(root);
    } else {
        seconds = tree_get_str(root, "seconds");
        if (!str_i64(seconds, &n)) n = tree_get_i64(root, "seconds");
    }
    if (n > 0 && n < 86400) t.milliseconds = n * 1000;
    *ret_task = t;
    return true;
}

/* ---- Ark's task as a video ---- */

static const char *size_of(struct str resolution, struct str ratio)
{
    static const struct {
        const char *resolution, *ratio, *size;
    } rows[] = {
        {"480p", "16:9", "864x496"},    {"480p", "9:16", "496x864"},    {"480p", "1:1", "640x640"},
        {"480p", "21:9", "992x432"},    {"480p", "4:3", "752x560"},     {"480p", "3:4", "560x752"},
        {"720p", "16:9", "1280x720"},   {"720p", "9:16", "720x1280"},   {"720p", "1:1", "960x960"},
        {"720p", "21:9", "1470x630"},   {"720p", "4:3", "1112x834"},    {"720p", "3:4", "834x1112"},
        {"1080p", "16:9", "1920x1080"}, {"1080p", "9:16", "1080x1920"}, {"1080p", "1:1", "1440x1440"},
        {"1080p", "21:9", "2206x946"},  {"1080p", "4:3", "1664x1248"},  {"1080p", "3:4", "1248x1664"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (str_is(resolution, rows[i].resolution) && str_is(ratio, rows[i].ratio)) return rows[i].size;
    return NULL;
}

static void add_time(struct buf *out, const char *key, int64_t s)
{
    buf_addf(out, ",\"%s\":", key);
    if (s > 0)
        buf_add_i64(out, s);
    else
        buf_addz(out, "null");
}

static void add_error(struct buf *out, yyjson_val *task, const char *word)
{
    yyjson_val *error = tree_get(task, "error");
    struct str code = tree_get_str(error, "code"), message = tree_get_str(error, "message");
    buf_addz(out, ",\"error\":{\"code\":");
    buf_add_json_str(out, code.n > 0 ? code : str_of(word));
    buf_addz(out, ",\"message\":");
    buf_add_json_str(out, message.n > 0 ? message : str_of(word));
    buf_addc(out, '}');
}

static int64_t progress_of(struct str status, int64_t created_s, uint64_t now_s)
{
    if (str_is(status, "succeeded")) return 100;
    if (!str_is(status, "running")) return 0;
    int64_t n =
        now_s > 0 && created_s > 0 && (int64_t)now_s > created_s ? ((int64_t)now_s - created_s) * 100 / USUAL_RUN_S : 1;
    return n < 1 ? 1 : n > 99 ? 99 : n;
}

static const char *status_word(enum video_state state, struct str said)
{
    if (state == VIDEO_DONE) return "completed";
    if (state != VIDEO_OPEN) return "failed";
    return str_is(said, "queued") ? "queued" : "in_progress";
}

static void add_head(const struct video_id *id, const char *status, int64_t progress, struct buf *out)
{
    buf_addz(out, "{\"id\":\"");
    video_id_write(id, out);
    buf_addz(out, "\",\"object\":\"video\",\"model\":");
    buf_add_json_str(out, id->model);
    buf_addf(out, ",\"status\":\"%s\",\"progress\":%lld", status, (long long)progress);
}

bool video_write_task(struct exchange *x, yyjson_val *task, struct buf *out)
{
    const struct video_call *v = x->call->video;
    enum video_state state;
    if (!read_state(VIDEO_ARK, tree_get_str(task, "status"), &state)) return false;
    struct str said = tree_get_str(task, "status"), prompt = tree_get_str(task, "revised_prompt");
    int64_t created_s = tree_get_i64(task, "created_at"), updated_s = tree_get_i64(task, "updated_at"),
            seconds = seconds_of(task);
    const char *size = size_of(tree_get_str(task, "resolution"), tree_get_str(task, "ratio"));
    bool over = state != VIDEO_OPEN;
    add_head(&v->id, status_word(state, said), progress_of(said, created_s, x->hints.now_s), out);
    buf_addf(out, ",\"created_at\":%lld", (long long)(created_s > 0 ? created_s : 0));
    add_time(out, "completed_at", over ? updated_s : 0);
    add_time(out, "expires_at", state == VIDEO_DONE && updated_s > 0 ? updated_s + KEPT_S : 0);
    buf_addz(out, ",\"prompt\":");
    if (prompt.n > 0)
        buf_add_json_str(out, prompt);
    else
        buf_addz(out, "null");
    if (seconds > 0)
        buf_addf(out, ",\"seconds\":\"%lld\"", (long long)seconds);
    else
        buf_addz(out, ",\"seconds\":null");
    buf_addf(out, size != NULL ? ",\"size\":\"%s\"" : ",\"size\":null", size != NULL ? size : "");
    buf_addz(out, ",\"remixed_from_video_id\":null");
    if (over && state != VIDEO_DONE)
        add_error(out, task, state == VIDEO_FAILED ? "failed" : state == VIDEO_CANCELLED ? "cancelled" : "expired");
    else
        buf_addz(out, ",\"error\":null");
    buf_addc(out, '}');
    return true;
}

static void write_created(struct exchange *x, struct buf *out)
{
    const struct video_call *v = x->call->video;
    add_head(&v->id, "queued", 0, out);
    buf_addf(out, ",\"created_at\":%llu,\"completed_at\":null,\"expires_at\":null,\"prompt\":",
             (unsigned long long)x->hints.now_s);
    buf_add_json_str(out, v->prompt);
    buf_addf(out, ",\"seconds\":\"%lld\",\"size\":", (long long)v->seconds);
    buf_add_json_str(out, v->size.n > 0 ? v->size : STR("720x1280"));
    buf_addz(out, ",\"remixed_from_video_id\":null,\"error\":null}");
}

/* ---- answers ---- */

static enum weir_err fail(struct exchange *x, enum weir_err err, struct str why)
{
    x->error.err = err;
    x->error.message = why;
    return err;
}

/* The id that the client will know the task by. */
static bool bind_task(struct video_call *v, struct str task)
{
    struct buf text = {0};
    struct video_id again;
    struct arena scratch;
    arena_init(&scratch, 1024);
    v->id.task = task;
    video_id_sign(&v->id, v->credential, v->caller);
    video_id_write(&v->id, &text);
    bool ok = video_id_read(buf_view(&text), &scratch, &again);
    buf_fini(&text);
    arena_fini(&scratch);
    if (ok) v->task = task;
    return ok;
}

/* A provider that has Videos itself: its own bytes but for the names of video and model. */
static enum weir_err answer_openai(struct exchange *x, struct str body, struct buf *out)
{
    struct video_call *v = x->call->video;
    struct buf id = {0}, model = {0};
    buf_addc(&id, '"');
    video_id_write(&v->id, &id);
    buf_addc(&id, '"');
    buf_add_json_str(&model, v->id.model);
    const struct json_patch patch[] = {{"id", buf_view(&id)}, {"model", buf_view(&model)}};
    bool ok = json_splice(body, patch, v->op == VIDEO_DELETE ? 1 : 2, out);
    buf_fini(&id);
    buf_fini(&model);
    return ok ? WEIR_OK : fail(x, WEIR_UP_PROTOCOL, STR("the answer about the video is no JSON object"));
}

static enum weir_err answer_content(struct exchange *x, yyjson_val *task, enum video_state state)
{
    struct video_call *v = x->call->video;
    yyjson_val *content = tree_get(task, "content");
    struct str url = tree_get_str(content, "video_url");
    if (url.n == 0) url = tree_get_str(content, "file_url");
    if (state != VIDEO_DONE)
        return fail(x, WEIR_UP_NOT_FOUND,
                    arena_printf(x->arena, "there is no content: the video is %s",
                                 status_word(state, tree_get_str(task, "status"))));
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= 0x20 || (unsigned char)url.p[i] >= 0x7F || url.p[i] == '"') url = STR_NULL;
    if (!str_starts(url, STR("https://")) && !str_starts(url, STR("http://")))
        return fail(x, WEIR_UP_PROTOCOL, STR("the task has ended, and names no address of its video"));
    v->location = url;
    return WEIR_OK;
}

enum weir_err video_answer(struct exchange *x, struct str body, struct buf *out)
{
    struct video_call *v = x->call->video;
    yyjson_val *root = NULL;
    struct str why;
    enum video_state state;
    x->facts |= EXCHANGE_END | EXCHANGE_CONTENT | EXCHANGE_FINISHED;
    if (v->op == VIDEO_CONTENT && v->form == VIDEO_OPENAI) {
        buf_add(out, body);
        return WEIR_OK;
    }
    if (v->op == VIDEO_DELETE && v->form == VIDEO_ARK) {
        buf_addz(out, "{\"id\":\"");
        video_id_write(&v->id, out);
        buf_addz(out, "\",\"object\":\"video.deleted\",\"deleted\":true}");
        return WEIR_OK;
    }
    if (tree_read(body, x->arena, &root, &why) != WEIR_OK)
        return fail(x, WEIR_UP_PROTOCOL, STR("the answer about the video is no JSON"));
    if (v->op == VIDEO_CREATE && !bind_task(v, tree_get_str(root, "id")))
        return fail(x, WEIR_UP_PROTOCOL, STR("the answer names no task"));
    if (v->form == VIDEO_OPENAI) return answer_openai(x, body, out);
    if (v->op == VIDEO_CREATE) {
        write_created(x, out);
        return WEIR_OK;
    }
    if (v->op == VIDEO_LIST)
        return video_write_list(x, root, out) == WEIR_OK
                   ? WEIR_OK
                   : fail(x, WEIR_UP_PROTOCOL, STR("the answer is no list of tasks"));
    if (!read_state(VIDEO_ARK, tree_get_str(root, "status"), &state))
        return fail(x, WEIR_UP_PROTOCOL, STR("the task has a status that is not known"));
    if (v->op == VIDEO_CONTENT) return answer_content(x, root, state);
    (void)video_write_task(x, root, out);
    return WEIR_OK;
}

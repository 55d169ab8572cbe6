/* What is read of videos: ids, a row of the store, a provider's task; and what is written of what was read is read back the same. */
#include "controlplane/job_row.h"
#include "proto/dialect/video.h"
#include "proto/wire/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_id(struct str text, struct arena *a)
{
    struct video_id id, again;
    struct buf out = {0};
    if (!video_id_read(text, a, &id)) return;
    video_id_write(&id, &out);
    if (!video_id_read(buf_view(&out), a, &again)) abort();
    if (!str_eq(id.task, again.task) || !str_eq(id.provider, again.provider) || id.print != again.print) abort();
    buf_fini(&out);
}

static void try_row(struct str bytes)
{
    struct job_row row, again;
    uint8_t out[JOB_ROW_MAX];
    if (!job_row_read(bytes, &row)) return;
    size_t n = job_row_write(&row, out);
    if (n > JOB_ROW_MAX || !job_row_read((struct str){(const char *)out, n}, &again)) abort();
    struct usage_record bill;
    struct video_task done = {.state = VIDEO_DONE, .tokens = 5};
    job_settle(&row, &done, WEIR_OK, 1, &bill);
}

static void try_call(struct str body, struct arena *a)
{
    static const struct str type = {"multipart/form-data; boundary=B", 31};
    struct str method = STR("POST"), why;
    bool known;
    const struct endpoint *e = endpoint_find(method, STR("/v1/videos"), &known);
    struct endpoint_place place = {.model = STR_NULL};
    struct json_error error;
    unsigned depth;
    for (unsigned i = 0; i < 2; i++) {
        struct call call = {.model = STR_NULL};
        struct buf out = {0};
        if (video_read_call(e, &place, i == 0 ? type : STR("application/json"), body, a, &call, &why) != WEIR_OK)
            continue;
        call.video->form = VIDEO_ARK;
        video_write_request(call.video, STR("m"), &out);
        if (i == 1 && !json_check(buf_view(&out), &depth, &error)) abort();
        if (video_token_bound(call.video) <= 0) abort();
        buf_fini(&out);
    }
}

/* A query, a line end, a provider's list: what comes out is JSON. */
static void try_list(struct str text, struct arena *a)
{
    struct video_call v = {.op = VIDEO_LIST, .form = VIDEO_ARK};
    const struct call call = {.video = &v};
    struct exchange x = {.call = &call, .arena = a};
    struct buf out = {0};
    struct json_error error;
    unsigned depth;
    struct str why, query = str_split(&text, '\n');
    if (video_read_list(query, a, &v, &why) != WEIR_OK) return;
    v.id.provider = STR("ark");
    if (video_answer(&x, text, &out) == WEIR_OK && !json_check(buf_view(&out), &depth, &error)) abort();
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct video_task task;
    struct arena a;
    arena_init(&a, 4096);
    try_id(text, &a);
    try_row(text);
    try_call(text, &a);
    try_list(text, &a);
    (void)video_task_read(VIDEO_ARK, text, &a, &task);
    (void)video_task_read(VIDEO_OPENAI, text, &a, &task);
    arena_fini(&a);
    return 0;
}

#include "tools/fake/fault.h"

#include "proto/base/base64.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum kind { K_TEXT, K_JSON_TEXT, K_BASE64, K_BOOL, K_U32, K_U64, K_I64, K_UNSIGNED, K_VALUE, K_STREAM, K_END };

struct key {
    const char *name;
    enum kind kind;
    size_t offset;
};

#define KEY(name, kind, member)                    \
    {                                              \
        name, kind, offsetof(struct fault, member) \
    }

static const struct key keys[] = {
    KEY("path", K_TEXT, path),
    KEY("model", K_TEXT, model),
    KEY("text", K_TEXT, text),
    KEY("dialect", K_TEXT, dialect),
    KEY("stream", K_STREAM, stream),
    KEY("on_accept", K_BOOL, on_accept),
    KEY("early", K_BOOL, early),
    KEY("times", K_I64, times),
    KEY("skip", K_U64, skip),
    KEY("every", K_U64, every),
    KEY("status", K_UNSIGNED, status),
    KEY("headers", K_VALUE, headers),
    KEY("body", K_JSON_TEXT, body),
    KEY("body_base64", K_BASE64, body),
    KEY("raw", K_TEXT, raw),
    KEY("raw_base64", K_BASE64, raw),
    KEY("usage", K_VALUE, usage),
    KEY("delay_head_ms", K_U32, delay_head_ms),
    KEY("delay_first_ms", K_U32, delay_first_ms),
    KEY("delay_event_ms", K_U32, delay_event_ms),
    KEY("keep_bytes", K_I64, keep_bytes),
    KEY("keep_events", K_I64, keep_events),
    KEY("malformed_after_events", K_I64, malformed_after_events),
    KEY("spoil_event", K_I64, spoil_event),
    KEY("error_after_events", K_I64, error_after_events),
    KEY("error", K_JSON_TEXT, error),
    KEY("omit_events", K_U32, omit_events),
    KEY("split_bytes", K_U32, split_bytes),
    KEY("split_delay_ms", K_U32, split_delay_ms),
    KEY("extra", K_TEXT, extra),
    KEY("extra_base64", K_BASE64, extra),
    KEY("content_length", K_I64, content_length),
    KEY("until_eof", K_BOOL, until_eof),
    KEY("connection_close", K_BOOL, connection_close),
    KEY("end", K_END, end),
};

/* ---- reading ---- */

static struct str own(struct str s) /* freed with the fault; NUL behind it */
{
    char *copy = xmalloc(s.n + 1);
    if (s.n > 0) memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return (struct str){copy, s.n};
}

static bool read_base64(struct str text, struct str *ret)
{
    struct buf bytes = {0};
    bool ok = base64_decode(text, &bytes);
    if (ok) *ret = own(buf_view(&bytes));
    buf_fini(&bytes);
    return ok;
}

static bool read_end(yyjson_val *v, enum fault_end *ret)
{
    static const char *const names[] = {"keep", "fin", "rst", "stall"};
    for (unsigned i = 0; i < 4; i++)
        if (yyjson_equals_str(v, names[i])) {
            *ret = (enum fault_end)i;
            return true;
        }
    return false;
}

static bool read_text(yyjson_val *v, bool json_too, struct str *ret)
{
    if (yyjson_is_str(v)) {
        *ret = own((struct str){yyjson_get_str(v), yyjson_get_len(v)});
        return true;
    }
    size_t n = 0;
    char *text = json_too ? yyjson_val_write(v, 0, &n) : NULL;
    if (text == NULL) return false;
    *ret = (struct str){text, n};
    return true;
}

static bool read_key(struct fault *f, const struct key *key, yyjson_val *v)
{
    void *at = (char *)f + key->offset;
    switch (key->kind) {
    case K_TEXT: return ((struct str *)at)->p == NULL && read_text(v, false, at);
    case K_JSON_TEXT: return ((struct str *)at)->p == NULL && read_text(v, true, at);
    case K_BASE64:
        return ((struct str *)at)->p == NULL && yyjson_is_str(v) &&
               read_base64((struct str){yyjson_get_str(v), yyjson_get_len(v)}, at);
    case K_BOOL: *(bool *)at = yyjson_get_bool(v); return yyjson_is_bool(v);
    case K_STREAM: *(int8_t *)at = yyjson_get_bool(v); return yyjson_is_bool(v);
    case K_UNSIGNED: *(unsigned *)at = (unsigned)yyjson_get_uint(v); return yyjson_is_uint(v);
    case K_U32:
        *(uint32_t *)at = (uint32_t)yyjson_get_uint(v);
        return yyjson_is_uint(v) && yyjson_get_uint(v) <= UINT32_MAX;
    case K_U64: *(uint64_t *)at = yyjson_get_uint(v); return yyjson_is_uint(v);
    case K_I64: *(int64_t *)at = yyjson_get_sint(v); return yyjson_is_int(v);
    case K_VALUE: *(yyjson_val **)at = v; return yyjson_is_obj(v) || yyjson_is_false(v);
    case K_END: return read_end(v, at);
    }
    return false;
}

static void fault_free(struct fault *f)
{
    struct str *texts[] = {&f->path, &f->model, &f->dialect, &f->body, &f->raw, &f->error, &f->extra};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free((char *)(uintptr_t)texts[i]->p);
    yyjson_doc_free(f->doc);
    free(f);
}

static const char *read_fault(struct fault *f, yyjson_val *object)
{
    yyjson_val *name, *value;
    size_t i, n;
    if (!yyjson_is_obj(object)) return "a fault is a JSON object";
    yyjson_obj_foreach(object, i, n, name, value)
    {
        size_t k = 0, count = sizeof keys / sizeof *keys;
        while (k < count && strcmp(keys[k].name, yyjson_get_str(name)) != 0) k++;
        if (k == count) return "unknown key";
        if (!read_key(f, &keys[k], value)) return keys[k].name;
    }
    return NULL;
}

unsigned faults_add(struct faults *list, struct str json, const char **ret_why)
{
    struct fault *f = xcalloc(1, sizeof *f);
    f->stream = -1;
    f->times = f->keep_bytes = f->keep_events = f->malformed_after_events = f->spoil_event = f->error_after_events =
        f->content_length = -1;
    f->every = 1;
    f->doc = yyjson_read(json.p, json.n, 0);
    const char *why = f->doc != NULL ? read_fault(f, yyjson_doc_get_root(f->doc)) : "not valid JSON";
    if (why == NULL && f->every == 0) why = "every";
    /* A truncated answer has to end somehow; RST is what a dying provider looks like. */
    bool cuts = f->keep_bytes >= 0 || f->keep_events >= 0 || f->malformed_after_events >= 0;
    if (f->end == FAULT_KEEP && (cuts || f->on_accept)) f->end = FAULT_RST;
    if (f->end == FAULT_KEEP && (f->raw.p != NULL || f->until_eof)) f->end = FAULT_FIN;
    if (why != NULL) {
        *ret_why = why;
        fault_free(f);
        return 0;
    }
    struct fault **end = &list->first;
    while (*end != NULL) end = &(*end)->next;
    *end = f;
    return f->id = ++list->last_id;
}

/* ---- using ---- */

static bool is_used(struct fault *f)
{
    uint64_t seen = f->seen++;
    if (f->times == 0 || seen < f->skip || (seen - f->skip) % f->every != 0) return false;
    if (f->times > 0) f->times--;
    f->hits++;
    return true;
}

static bool matches(const struct fault *f, const struct fault_facts *facts)
{
    return (f->path.n == 0 || str_glob(f->path, facts->path)) &&
           (f->model.n == 0 || str_glob(f->model, facts->model)) &&
           (f->dialect.n == 0 || str_eq(f->dialect, facts->dialect)) &&
           (f->text.n == 0 || str_contains(facts->text, f->text)) &&
           (f->stream < 0 || f->stream == (int8_t)facts->stream);
}

struct fault *faults_take(struct faults *list, const struct fault_facts *facts, bool early)
{
    for (struct fault *f = list->first; f != NULL; f = f->next)
        if (!f->on_accept && f->early == early && matches(f, facts) && is_used(f)) return f;
    return NULL;
}

struct fault *faults_take_accept(struct faults *list)
{
    for (struct fault *f = list->first; f != NULL; f = f->next)
        if (f->on_accept && is_used(f)) return f;
    return NULL;
}

bool faults_clear(struct faults *list, unsigned id)
{
    bool found = false;
    for (struct fault **at = &list->first; *at != NULL;) {
        struct fault *f = *at;
        if (id != 0 && f->id != id) {
            at = &f->next;
            continue;
        }
        found = true;
        *at = f->next;
        fault_free(f);
    }
    return found;
}

void faults_list(const struct faults *list, struct buf *out)
{
    buf_addc(out, '[');
    for (const struct fault *f = list->first; f != NULL; f = f->next) {
        size_t n = 0;
        char *text = yyjson_write(f->doc, 0, &n);
        buf_addf(out, "%s{\"id\":%u,\"seen\":%llu,\"hits\":%llu,\"fault\":", f == list->first ? "" : ",", f->id,
                 (unsigned long long)f->seen, (unsigned long long)f->hits);
        buf_add(out, (struct str){text, n});
        buf_addc(out, '}');
        free(text);
    }
    buf_addc(out, ']');
}

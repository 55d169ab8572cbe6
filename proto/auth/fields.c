#include "proto/auth/fields.h"

#include "proto/wire/json.h"
#include "proto/wire/url.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool fields_open(struct str text, struct str *ret_object, const char **ret_why)
{
    unsigned depth;
    struct json_error error;
    if (str_starts(text, STR("\xEF\xBB\xBF"))) text = str_slice(text, 3, text.n);
    while (text.n > 0 && is_blank(text.p[0])) text = str_slice(text, 1, text.n);
    while (text.n > 0 && is_blank(text.p[text.n - 1])) text.n--;
    *ret_why = "not a JSON object";
    if (text.n > FIELDS_MAX_BYTES) *ret_why = "too large";
    if (text.n > FIELDS_MAX_BYTES || text.n == 0 || text.p[0] != '{') return false;
    if (!json_check(text, &depth, &error)) {
        *ret_why = error.what;
        return false;
    }
    *ret_object = text;
    return true;
}

static bool find(struct str object, const char *key, struct str *ret_value)
{
    struct buf scratch = {0};
    bool found = json_find(object, key, ret_value, &scratch) == JSON_FOUND;
    buf_fini(&scratch);
    return found;
}

bool fields_str(struct str object, const char *key, struct arena *a, struct str *ret_value)
{
    struct str raw;
    struct buf text = {0};
    bool ok = find(object, key, &raw) && json_unquote(raw, &text);
    if (ok) *ret_value = arena_copy(a, buf_view(&text));
    buf_fini(&text);
    return ok;
}

struct str fields_text(struct str object, const char *key, struct arena *a)
{
    struct str s = STR_NULL;
    (void)fields_str(object, key, a, &s);
    return s;
}

bool fields_object(struct str object, const char *key, struct str *ret_object)
{
    struct str raw;
    if (!find(object, key, &raw) || raw.n == 0 || raw.p[0] != '{') return false;
    *ret_object = raw;
    return true;
}

bool fields_u64(struct str object, const char *key, uint64_t *ret_value)
{
    struct str raw;
    if (!find(object, key, &raw)) return false;
    if (raw.n >= 2 && raw.p[0] == '"') raw = str_slice(raw, 1, raw.n - 1);
    return str_u64(raw, ret_value);
}

void form_add(struct buf *out, const char *name, struct str value)
{
    if (value.n == 0) return;
    if (buf_len(out) > 0) buf_addc(out, '&');
    buf_addz(out, name);
    buf_addc(out, '=');
    url_percent_encode(value, "", out);
}

struct str plain_words(struct str text, size_t max, struct arena *a)
{
    if (text.n > max) text.n = max;
    char *p = arena_alloc(a, text.n + 1);
    for (size_t i = 0; i < text.n; i++) p[i] = text.p[i] >= ' ' && text.p[i] <= '~' ? text.p[i] : ' ';
    p[text.n] = '\0';
    return str_trim((struct str){p, text.n});
}

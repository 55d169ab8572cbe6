#include "tools/fake/dialect.h"

#include <string.h>

struct str val_str(yyjson_val *v)
{
    return yyjson_is_str(v) ? (struct str){yyjson_get_str(v), yyjson_get_len(v)} : STR_NULL;
}

bool val_is(yyjson_val *v, const char *text)
{
    return yyjson_is_str(v) && str_is(val_str(v), text);
}

void refuse(struct refusal *r, unsigned status, const char *type, const char *code, struct str param,
            struct str message)
{
    if (r->status == 0) *r = (struct refusal){status, type, code, param, message};
}

const char *first_unknown(yyjson_val *object, const char *const *known)
{
    yyjson_val *key, *value;
    size_t i, n;
    if (!yyjson_is_obj(object)) return NULL;
    yyjson_obj_foreach(object, i, n, key, value)
    {
        bool found = false;
        for (size_t k = 0; known[k] != NULL && !found; k++) found = strcmp(known[k], yyjson_get_str(key)) == 0;
        if (!found) return yyjson_get_str(key);
    }
    return NULL;
}

bool is_tool_id(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return id.n > 0;
}

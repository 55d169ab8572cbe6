/* One answer to GET /v1/models for the OpenAI, Anthropic and Google SDKs: each finds its own fields, none minds the others'. */
#include "proto/dialect/exchange.h"

/* "2026-11-22T00:00:00Z" (RFC 3339). The proleptic Gregorian calendar, counted from 0000-03-01 (years that begin in March
 * have their leap day last). */
static void add_time(struct buf *out, uint64_t seconds)
{
    uint64_t days = seconds / 86400, s = seconds % 86400;
    uint64_t z = days + 719468, era = z / 146097, doe = z % 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    uint64_t day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    uint64_t year = yoe + era * 400 + (month <= 2);
    buf_addf(out, "\"%04u-%02u-%02uT%02u:%02u:%02uZ\"", (unsigned)year, (unsigned)month, (unsigned)day,
             (unsigned)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
}

void models_write_one(const struct model_entry *m, uint64_t created_s, struct buf *out)
{
    buf_add(out, STR("{\"id\":"));
    buf_add_json_str(out, m->id);
    buf_add(out, STR(",\"object\":\"model\",\"created\":"));
    buf_add_u64(out, created_s);
    buf_add(out, STR(",\"owned_by\":\"weir\",\"type\":\"model\",\"display_name\":"));
    buf_add_json_str(out, m->display.n > 0 ? m->display : m->id);
    buf_add(out, STR(",\"description\":"));
    buf_add_json_str(out, m->description);
    buf_add(out, STR(",\"created_at\":"));
    add_time(out, created_s);
    buf_addc(out, '}');
}

static void add_id(struct buf *out, const char *key, const struct model_entry *m)
{
    buf_addz(out, key);
    if (m == NULL)
        buf_add(out, STR("null"));
    else
        buf_add_json_str(out, m->id);
}

void models_write_list(const struct model_entry *m, size_t n, uint64_t created_s, struct buf *out)
{
    buf_add(out, STR("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < n; i++) {
        if (i > 0) buf_addc(out, ',');
        models_write_one(&m[i], created_s, out);
    }
    buf_add(out, STR("],\"has_more\":false"));
    add_id(out, ",\"first_id\":", n == 0 ? NULL : &m[0]);
    add_id(out, ",\"last_id\":", n == 0 ? NULL : &m[n - 1]);
    buf_add(out, STR(",\"models\":["));
    for (size_t i = 0; i < n; i++) {
        buf_add(out, i > 0 ? STR(",{\"name\":\"models/") : STR("{\"name\":\"models/"));
        buf_add_json(out, m[i].id);
        buf_add(out, STR("\",\"displayName\":"));
        buf_add_json_str(out, m[i].display.n > 0 ? m[i].display : m[i].id);
        buf_add(
            out,
            STR(",\"supportedGenerationMethods\":[\"generateContent\",\"streamGenerateContent\",\"countTokens\"]}"));
    }
    buf_add(out, STR("]}"));
}

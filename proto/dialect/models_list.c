/* One answer to GET /v1/models for the OpenAI, Anthropic, Google and Cohere SDKs: each finds its own fields, none minds the others'.
 * Ollama's clients ask elsewhere, and read another `name`. */
#include "proto/dialect/exchange.h"

#include "proto/base/date.h"

static void add_time(struct buf *out, uint64_t seconds)
{
    struct date d = date_of(seconds);
    buf_addf(out, "\"%04d-%02u-%02uT%02u:%02u:%02uZ\"", d.year, d.month, d.day, d.hour, d.minute, d.second);
}

static void write_google(const struct model_entry *m, struct buf *out)
{
    buf_addz(out, "\"name\":\"models/");
    buf_add_json(out, m->id);
    buf_add(out, STR("\",\"displayName\":"));
    buf_add_json_str(out, m->display.n > 0 ? m->display : m->id);
    buf_add(out,
            STR(",\"supportedGenerationMethods\":[\"generateContent\",\"streamGenerateContent\",\"countTokens\"]"));
}

static void write_entry(const struct model_entry *m, uint64_t created_s, struct buf *out)
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
}

void models_write_one(const struct model_entry *m, uint64_t created_s, struct buf *out)
{
    write_entry(m, created_s, out);
    buf_addc(out, ',');
    write_google(m, out);
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
        write_entry(&m[i], created_s, out);
        buf_addc(out, '}');
    }
    buf_add(out, STR("],\"has_more\":false"));
    add_id(out, ",\"first_id\":", n == 0 ? NULL : &m[0]);
    add_id(out, ",\"last_id\":", n == 0 ? NULL : &m[n - 1]);
    buf_add(out, STR(",\"models\":["));
    for (size_t i = 0; i < n; i++) {
        buf_addz(out, i > 0 ? ",{" : "{");
        write_google(&m[i], out);
        buf_addc(out, '}');
    }
    buf_add(out, STR("]}"));
}

/* ---- Ollama's clients ---- */

static void write_details(struct buf *out)
{
    buf_add(out, STR("\"details\":{\"parent_model\":\"\",\"format\":\"\",\"family\":\"weir\",\"families\":[\"weir\"],"
                     "\"parameter_size\":\"\",\"quantization_level\":\"\"}"));
}

void models_write_tags(const struct model_entry *m, size_t n, uint64_t created_s, struct buf *out)
{
    buf_add(out, STR("{\"models\":["));
    for (size_t i = 0; i < n; i++) {
        buf_addz(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        buf_add_json_str(out, m[i].id);
        buf_add(out, STR(",\"model\":"));
        buf_add_json_str(out, m[i].id);
        buf_add(out, STR(",\"modified_at\":"));
        add_time(out, created_s);
        buf_add(out, STR(",\"size\":0,\"digest\":\"\","));
        write_details(out);
        buf_addc(out, '}');
    }
    buf_add(out, STR("]}"));
}

void models_write_shown(const struct model_entry *m, uint64_t created_s, struct buf *out)
{
    buf_add(out, STR("{\"modelfile\":\"\",\"parameters\":\"\",\"template\":\"\",\"license\":\"\",\"description\":"));
    buf_add_json_str(out, m->description);
    buf_add(out, STR(",\"modified_at\":"));
    add_time(out, created_s);
    buf_addc(out, ',');
    write_details(out);
    buf_add(out,
            STR(",\"model_info\":{\"general.architecture\":\"weir\"},\"capabilities\":[\"completion\",\"tools\"]}"));
}

#include "controlplane/prices.h"

#include "proto/base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char prices_tbl[]; /* made of prices.tbl by the build */
extern const size_t prices_tbl_bytes;

enum word_kind { W_RATE, W_USD, W_FACTOR, W_PERMILLE, W_COUNT32, W_COUNT64, W_DATE, W_SOURCE, W_FREE };

struct word {
    const char *name;
    enum word_kind kind;
    size_t at; /* offset in struct price_entry */
};

#define AT(member) offsetof(struct price_entry, member)
static const struct word WORDS[] = {
    {"in", W_RATE, AT(row.base.input)},
    {"cached", W_RATE, AT(row.base.cache_read)},
    {"write", W_RATE, AT(row.base.cache_write_5m)},
    {"write_1h", W_RATE, AT(row.base.cache_write_1h)},
    {"out", W_RATE, AT(row.base.output)},
    {"in_audio", W_RATE, AT(row.base.in_audio)},
    {"in_image", W_RATE, AT(row.base.in_image)},
    {"out_audio", W_RATE, AT(row.base.out_audio)},
    {"out_image", W_RATE, AT(row.base.out_image)},
    {"above", W_COUNT64, AT(row.tier_above_tokens)},
    {"above.in", W_RATE, AT(row.tier.input)},
    {"above.cached", W_RATE, AT(row.tier.cache_read)},
    {"above.write", W_RATE, AT(row.tier.cache_write_5m)},
    {"above.write_1h", W_RATE, AT(row.tier.cache_write_1h)},
    {"above.out", W_RATE, AT(row.tier.output)},
    {"request", W_USD, AT(row.per_request_picousd)},
    {"search", W_USD, AT(row.per_web_search_picousd)},
    {"second", W_USD, AT(row.per_second_picousd)},
    {"unit", W_USD, AT(row.per_unit_picousd)},
    {"batch", W_FACTOR, AT(row.batch_ppm)},
    {"flex", W_FACTOR, AT(row.flex_ppm)},
    {"priority", W_FACTOR, AT(row.priority_ppm)},
    {"regional", W_PERMILLE, AT(row.regional_permille)},
    {"context", W_COUNT32, AT(context_window)},
    {"max_out", W_COUNT32, AT(max_output)},
    {"date", W_DATE, AT(row.date)},
    {"source", W_SOURCE, AT(source)},
    {"free", W_FREE, AT(row.free)},
};
#undef AT
enum { WORDS_N = sizeof WORDS / sizeof *WORDS };

static bool digits(struct str s, size_t from, size_t n, uint64_t *ret)
{
    return s.n >= from + n && str_u64(str_slice(s, from, from + n), ret);
}

static bool parse_date(struct str s, uint32_t *ret_date)
{
    uint64_t y, m, d;
    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || !digits(s, 0, 4, &y) || !digits(s, 5, 2, &m) ||
        !digits(s, 8, 2, &d) || y < 2000 || m < 1 || m > 12 || d < 1 || d > 31)
        return false;
    *ret_date = (uint32_t)(y * 10000 + m * 100 + d);
    return true;
}

static bool take_word(struct price_entry *e, const struct word *w, struct str value)
{
    char text[32];
    if (value.n >= sizeof text || (value.n == 0) != (w->kind == W_FREE)) return false;
    if (value.n > 0) memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    char *field = (char *)e + w->at;
    int64_t amount;
    uint64_t count;
    switch (w->kind) {
    case W_RATE: return price_parse_per_million(text, (int64_t *)(void *)field);
    case W_USD:
        if (!price_parse_usd(text, &amount) || amount > 1000000 * (int64_t)1000000000) return false;
        *(int64_t *)(void *)field = amount * 1000;
        return true;
    case W_FACTOR:
        if (!price_parse_per_million(text, &amount) || amount == 0 || amount > 1000 * 1000000) return false;
        *(int32_t *)(void *)field = (int32_t)amount;
        return true;
    case W_PERMILLE:
        if (!price_parse_per_million(text, &amount) || amount < 1000000 || amount > 10 * 1000000) return false;
        *(uint16_t *)(void *)field = (uint16_t)(amount / 1000);
        return true;
    case W_COUNT32:
    case W_COUNT64:
        if (!str_u64(value, &count) || count == 0 || count > 1000000000) return false;
        if (w->kind == W_COUNT32)
            *(uint32_t *)(void *)field = (uint32_t)count;
        else
            *(int64_t *)(void *)field = (int64_t)count;
        return true;
    case W_DATE: return parse_date(value, (uint32_t *)(void *)field);
    case W_SOURCE:
        if (value.n >= sizeof e->source) return false;
        memcpy(field, text, value.n + 1);
        return true;
    case W_FREE: *field = 1; return true;
    }
    return false;
}

static bool has_price(const struct price_row *r)
{
    return r->free || r->base.input >= 0 || r->base.output >= 0 || r->per_request_picousd >= 0 ||
           r->per_second_picousd >= 0 || r->per_unit_picousd >= 0;
}

/* NULL: fine. */
static const char *check(const struct price_entry *e)
{
    const struct price_row *r = &e->row;
    bool has_above_rate = r->tier.input >= 0 || r->tier.output >= 0;
    if (r->date == 0) return "date= is missing";
    if (e->source[0] == '\0') return "source= is missing";
    if (!has_price(r)) return "there is no price in it";
    if (r->free && (r->base.input >= 0 || r->base.output >= 0)) return "free, and yet a price";
    if ((r->tier_above_tokens > 0) != has_above_rate) return "above= and above.in= or above.out= belong together";
    if (r->base.cache_read > r->base.input && r->base.input >= 0) return "cached costs more than in";
    return NULL;
}

static struct str next_word(struct str *rest)
{
    *rest = str_trim(*rest);
    size_t n = 0;
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t') n++;
    struct str word = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, rest->n);
    return word;
}

static const struct word *find_word(struct str name, unsigned *ret_index)
{
    for (unsigned i = 0; i < WORDS_N; i++) {
        if (str_is(name, WORDS[i].name)) {
            *ret_index = i;
            return &WORDS[i];
        }
    }
    return NULL;
}

/* false: *why has the reason. */
static bool parse_line(struct str line, struct price_entry *e, char *why, unsigned why_bytes)
{
    static_assert(WORDS_N <= 32, "words seen are bits of a 32-bit word");
    uint32_t seen = 0;
    *e = (struct price_entry){0};
    price_row_init(&e->row);
    e->row.known = 1;
    struct str name = next_word(&line);
    if (name.n >= sizeof e->name || str_chr(name, '=') >= 0) {
        struct str shown = str_slice(name, 0, 40);
        snprintf(why, why_bytes, "'%.*s' is no model name", STR_FMT(shown));
        return false;
    }
    memcpy(e->name, name.p, name.n);
    for (struct str w = next_word(&line); w.n > 0; w = next_word(&line)) {
        struct str value = w, key = str_split(&value, '=');
        unsigned i = 0;
        const struct word *known = find_word(key, &i);
        const char *wrong = known == NULL                 ? "is not a word of this list"
                            : seen & (uint32_t)1 << i     ? "stands twice"
                            : !take_word(e, known, value) ? "has no valid value"
                                                          : NULL;
        if (wrong != NULL) {
            snprintf(why, why_bytes, "'%.*s' %s", (int)(w.n < 40 ? w.n : 40), w.p, wrong);
            return false;
        }
        seen |= (uint32_t)1 << i;
    }
    const char *wrong = check(e);
    if (wrong != NULL) snprintf(why, why_bytes, "%s: %s", e->name, wrong);
    return wrong == NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct price_entry *)a)->name, ((const struct price_entry *)b)->name);
}

bool prices_parse(struct str text, struct prices *ret_prices, char *ret_why, unsigned why_bytes)
{
    enum { MOST = 100000 };
    struct prices p = {0};
    unsigned cap = 0, line_number = 0;
    char why[160] = "";
    while (text.n > 0) {
        struct str line = str_split(&text, '\n');
        line_number++;
        if (line.n > 0 && line.p[line.n - 1] == '\r') line.n--;
        line = str_trim(line);
        if (line.n == 0 || line.p[0] == '#') continue;
        if (p.n == cap) {
            cap = cap == 0 ? 128 : cap * 2;
            p.rows = xrealloc(p.rows, cap * sizeof *p.rows);
        }
        if (p.n == MOST || line.n > 2000 || memchr(line.p, '\0', line.n) != NULL) {
            snprintf(why, sizeof why, "too long");
            goto bad;
        }
        if (!parse_line(line, &p.rows[p.n], why, sizeof why)) goto bad;
        if (p.rows[p.n].row.date > p.date) p.date = p.rows[p.n].row.date;
        p.n++;
    }
    line_number = 0;
    if (p.n > 0) qsort(p.rows, p.n, sizeof *p.rows, by_name);
    for (unsigned i = 1; i < p.n; i++) {
        if (by_name(&p.rows[i - 1], &p.rows[i]) == 0) {
            snprintf(why, sizeof why, "%s stands twice", p.rows[i].name);
            goto bad;
        }
    }
    *ret_prices = p;
    return true;
bad:
    if (line_number > 0)
        snprintf(ret_why, why_bytes, "line %u: %s", line_number, why);
    else
        snprintf(ret_why, why_bytes, "%s", why);
    prices_fini(&p);
    return false;
}

void prices_builtin(struct prices *ret_prices)
{
    char why[200];
    if (prices_parse((struct str){prices_tbl, prices_tbl_bytes}, ret_prices, why, sizeof why)) return;
    fprintf(stderr, "weir-controlplane: prices.tbl: %s\n", why);
    abort();
}

void prices_fini(struct prices *p)
{
    free(p->rows);
    *p = (struct prices){0};
}

/* ---- look-up ---- */

static const struct price_entry *find_exact(const struct prices *p, struct str provider, struct str model)
{
    struct price_entry key;
    size_t n = provider.n == 0 ? 0 : provider.n + 1;
    if (p->n == 0 || model.n == 0 || n + model.n >= sizeof key.name) return NULL;
    if (n > 0) {
        memcpy(key.name, provider.p, provider.n);
        key.name[provider.n] = '/';
    }
    memcpy(key.name + n, model.p, model.n);
    key.name[n + model.n] = '\0';
    return bsearch(&key, p->rows, p->n, sizeof key, by_name);
}

static bool is_date(struct str s, bool dashes)
{
    uint64_t number;
    if (dashes)
        return s.n == 10 && s.p[4] == '-' && s.p[7] == '-' && digits(s, 0, 4, &number) && digits(s, 5, 2, &number) &&
               digits(s, 8, 2, &number);
    return s.n == 8 && str_u64(s, &number) && number >= 20000101 && number <= 29991231;
}

/* The name without the date at its end; unchanged when there is none. */
static struct str without_date(struct str m)
{
    if (str_ends(m, STR("-latest"))) return str_slice(m, 0, m.n - 7);
    ptrdiff_t at = str_rchr(m, '@');
    if (at > 0) {
        struct str date = str_slice(m, (size_t)at + 1, m.n);
        if (is_date(date, false) || is_date(date, true) || str_is(date, "latest") || str_is(date, "default"))
            return str_slice(m, 0, (size_t)at);
    }
    if (m.n > 11 && m.p[m.n - 11] == '-' && is_date(str_slice(m, m.n - 10, m.n), true))
        return str_slice(m, 0, m.n - 11);
    if (m.n > 9 && m.p[m.n - 9] == '-' && is_date(str_slice(m, m.n - 8, m.n), false)) return str_slice(m, 0, m.n - 9);
    return m;
}

static const struct price_entry *find_dated(const struct prices *p, struct str provider, struct str model)
{
    const struct price_entry *e = find_exact(p, provider, model);
    struct str bare = without_date(model);
    if (e == NULL && bare.n != model.n) e = find_exact(p, provider, bare);
    return e;
}

const struct price_entry *prices_find(const struct prices *p, struct str provider, struct str model)
{
    const struct price_entry *e = provider.n > 0 ? find_dated(p, provider, model) : NULL;
    while (e == NULL && model.n > 0) {
        e = find_dated(p, STR_NULL, model);
        if (str_chr(model, '/') < 0) break;
        str_split(&model, '/');
    }
    return e;
}

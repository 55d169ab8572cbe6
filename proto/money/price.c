#include "proto/money/price.h"

#include <stdio.h>
#include <string.h>

typedef unsigned __int128 u128;

/* Sums are kept in thousandths of a pico-dollar, so that milliseconds at a price per second and 1.6 x a rate stay whole numbers.
 * Largest sum: 13 terms x USAGE_MAX (2^40) x rate (2^63) x 1600 (2^11) = 2^118; no term can overflow. */
enum { SCALE = 1000, ONE_HOUR_SCALE = 1600 };

/* The sum is multiplied by two factors of 1,000,000 and divided by this to get nano-dollars. A product that overflows 2^128 stands
 * for more than 2^128 / 10^18 > 2^68 nano-dollars, so overflow and saturation are the same case. */
static const u128 TO_NANO = (u128)1000000000000000000u;
enum { PPM_ONE = 1000000 };

static u128 amount(int64_t count)
{
    if (count < 0) return 0;
    return (u128)(count > USAGE_MAX ? USAGE_MAX : count);
}

static u128 at_least_1ppm(int32_t ppm)
{
    return ppm <= 0 ? PPM_ONE : (u128)ppm;
}

/* Rates with every fallback resolved; what is still unknown is unknown. cache_write_1h carries its own scale. */
struct resolved {
    int64_t input, cache_read, write_5m, write_1h, output, in_audio, in_image, out_audio, out_image;
    unsigned write_1h_scale;
};

static int64_t or_else(int64_t rate, int64_t fallback)
{
    return rate < 0 ? fallback : rate;
}

static struct resolved resolve(const struct price_rates *r, const struct price_rates *base)
{
    int64_t input = or_else(r->input, base->input);
    int64_t output = or_else(r->output, base->output);
    int64_t write_5m = or_else(r->cache_write_5m, input);
    return (struct resolved){
        .input = input,
        .cache_read = or_else(r->cache_read, input),
        .write_5m = write_5m,
        .write_1h = or_else(r->cache_write_1h, write_5m),
        .write_1h_scale = r->cache_write_1h < 0 ? ONE_HOUR_SCALE : SCALE,
        .output = output,
        .in_audio = or_else(r->in_audio, input),
        .in_image = or_else(r->in_image, input),
        .out_audio = or_else(r->out_audio, output),
        .out_image = or_else(r->out_image, output),
    };
}

static bool has_rates(const struct price_rates *r)
{
    return r->input >= 0 || r->cache_read >= 0 || r->cache_write_5m >= 0 || r->cache_write_1h >= 0 || r->output >= 0 ||
           r->in_audio >= 0 || r->in_image >= 0 || r->out_audio >= 0 || r->out_image >= 0;
}

static bool is_priced_otherwise(const struct price_row *row)
{
    return !has_rates(&row->base) &&
           (row->per_second_picousd > 0 || row->per_unit_picousd > 0 || row->per_request_picousd > 0);
}

bool price_is_by_tokens(const struct price_row *row)
{
    return row->known && !row->free && has_rates(&row->base) && row->per_second_picousd <= 0 &&
           row->per_unit_picousd <= 0;
}

static bool has_tier_above(const struct price_row *row, int64_t in_total)
{
    return row->tier_above_tokens > 0 && in_total > row->tier_above_tokens && has_rates(&row->tier);
}

/* Adds count x rate; false when there is something to pay and no rate. */
static bool add(u128 *sum, u128 count, int64_t rate, unsigned scale)
{
    if (count == 0) return true;
    if (rate < 0) return false;
    u128 scaled_rate = (u128)(uint64_t)rate * scale;
    *sum += count * scaled_rate;
    return true;
}

static u128 part(u128 wanted, u128 *left)
{
    u128 got = wanted < *left ? wanted : *left;
    *left -= got;
    return got;
}

static bool add_tokens(u128 *sum, const struct resolved *r, const struct usage *u)
{
    u128 in_text = amount(u->in_uncached), out_text = amount(u->out_total);
    u128 in_audio = part(amount(u->in_audio), &in_text), in_image = part(amount(u->in_image), &in_text);
    u128 out_audio = part(amount(u->out_audio), &out_text), out_image = part(amount(u->out_image), &out_text);
    return add(sum, in_text, r->input, SCALE) && add(sum, in_audio, r->in_audio, SCALE) &&
           add(sum, in_image, r->in_image, SCALE) && add(sum, amount(u->cache_read), r->cache_read, SCALE) &&
           add(sum, amount(u->cache_write_5m), r->write_5m, SCALE) &&
           add(sum, amount(u->cache_write_1h), r->write_1h, r->write_1h_scale) &&
           add(sum, out_text, r->output, SCALE) && add(sum, out_audio, r->out_audio, SCALE) &&
           add(sum, out_image, r->out_image, SCALE);
}

static int64_t to_nano(u128 sum, u128 factor_ppm, u128 tier_ppm, u128 round)
{
    u128 product;
    if (__builtin_mul_overflow(sum, factor_ppm, &product) || __builtin_mul_overflow(product, tier_ppm, &product) ||
        __builtin_add_overflow(product, round, &product))
        return INT64_MAX;
    u128 nano = product / TO_NANO;
    return nano > INT64_MAX ? INT64_MAX : (int64_t)nano;
}

static u128 service_tier_ppm(const struct price_row *row, uint8_t tier)
{
    switch (tier) {
    case USAGE_BATCH: return at_least_1ppm(row->batch_ppm);
    case USAGE_FLEX: return at_least_1ppm(row->flex_ppm);
    case USAGE_PRIORITY: return at_least_1ppm(row->priority_ppm);
    default: return PPM_ONE;
    }
}

static u128 at_least_permille(uint16_t permille)
{
    return permille == 0 ? 1000 : permille;
}

bool price_cost(const struct price_row *row, const struct usage *u, int64_t *ret_nanousd)
{
    if (row == NULL || (!row->known && !row->free)) return false;
    if (row->free) {
        *ret_nanousd = 0;
        return true;
    }
    const struct price_rates *rates = has_tier_above(row, usage_in_total(u)) ? &row->tier : &row->base;
    struct resolved r = resolve(rates, &row->base);
    u128 sum = 0;
    if (!is_priced_otherwise(row) && !add_tokens(&sum, &r, u)) return false;
    if (!add(&sum, amount(u->web_searches), row->per_web_search_picousd, SCALE)) return false;
    add(&sum, amount(u->requests), or_else(row->per_request_picousd, 0), SCALE);
    add(&sum, amount(u->units), or_else(row->per_unit_picousd, 0), SCALE);
    add(&sum, amount(u->milliseconds), or_else(row->per_second_picousd, 0), 1);
    u128 ppm = service_tier_ppm(row, u->tier);
    if (u->regional) ppm = ppm * at_least_permille(row->regional_permille) / 1000;
    *ret_nanousd = to_nano(sum, at_least_1ppm(row->factor_ppm), ppm, TO_NANO / 2);
    return true;
}

static u128 larger(u128 a, u128 b)
{
    return a > b ? a : b;
}

static u128 scaled(int64_t rate, unsigned scale)
{
    return rate < 0 ? 0 : (u128)rate * scale;
}

static void dearest(const struct resolved *r, u128 *in, u128 *out)
{
    *in = larger(*in, larger(scaled(r->input, SCALE), scaled(r->cache_read, SCALE)));
    *in = larger(*in, larger(scaled(r->write_5m, SCALE), scaled(r->write_1h, r->write_1h_scale)));
    *in = larger(*in, larger(scaled(r->in_audio, SCALE), scaled(r->in_image, SCALE)));
    *out = larger(*out, scaled(r->output, SCALE));
    *out = larger(*out, larger(scaled(r->out_audio, SCALE), scaled(r->out_image, SCALE)));
}

bool price_upper_bound(const struct price_row *row, int64_t input_tokens, int64_t output_tokens, int64_t *ret_nanousd)
{
    if (row == NULL || (!row->known && !row->free)) return false;
    if (row->free) {
        *ret_nanousd = 0;
        return true;
    }
    if (row->per_second_picousd > 0 || row->per_unit_picousd > 0) return false; /* tokens do not bound it */
    bool tokens_free = is_priced_otherwise(row);
    struct resolved r = resolve(&row->base, &row->base);
    if (!tokens_free && ((input_tokens > 0 && r.input < 0) || (output_tokens > 0 && r.output < 0))) return false;
    u128 in = 0, out = 0;
    dearest(&r, &in, &out);
    if (has_tier_above(row, input_tokens)) {
        r = resolve(&row->tier, &row->base);
        dearest(&r, &in, &out);
    }
    /* usage_in_total() adds four fields */
    u128 inputs = input_tokens <= 0 ? 0 : (u128)(input_tokens > 4 * USAGE_MAX ? 4 * USAGE_MAX : input_tokens);
    u128 sum = tokens_free ? 0 : inputs * in + amount(output_tokens) * out;
    add(&sum, 1, or_else(row->per_request_picousd, 0), SCALE);
    u128 ppm = larger(PPM_ONE, larger(at_least_1ppm(row->batch_ppm),
                                      larger(at_least_1ppm(row->flex_ppm), at_least_1ppm(row->priority_ppm))));
    ppm = (ppm * larger(1000, at_least_permille(row->regional_permille)) + 999) / 1000;
    *ret_nanousd = to_nano(sum, at_least_1ppm(row->factor_ppm), ppm, TO_NANO - 1);
    return true;
}

const char *price_basis_word(enum price_basis b)
{
    switch (b) {
    case PRICE_BASIS_REPORTED: return "reported";
    case PRICE_BASIS_COMPUTED: return "computed";
    case PRICE_BASIS_ESTIMATED: return "estimated";
    default: return NULL;
    }
}

void price_row_init(struct price_row *row)
{
    *row = (struct price_row){.per_request_picousd = PRICE_UNKNOWN,
                              .per_web_search_picousd = PRICE_UNKNOWN,
                              .per_second_picousd = PRICE_UNKNOWN,
                              .per_unit_picousd = PRICE_UNKNOWN,
                              .factor_ppm = PPM_ONE};
    row->base = row->tier =
        (struct price_rates){PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN,
                             PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN, PRICE_UNKNOWN};
}

/* ---- text ---- */

/* Digits, then at most `decimals` more behind a point, as one integer. No sign, no blanks, no exponent. */
static bool parse_fixed(const char *text, unsigned decimals, int64_t max_whole, int64_t *ret_value)
{
    int64_t whole = 0, fraction = 0;
    const char *p = text;
    if (*p < '0' || *p > '9') return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        whole = whole * 10 + (*p - '0');
        if (whole > max_whole) return false;
    }
    unsigned seen = 0;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9' && seen < decimals; p++, seen++) fraction = fraction * 10 + (*p - '0');
        if (seen == 0) return false;
    }
    if (*p != '\0') return false;
    int64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++) {
        unit *= 10;
        if (i >= seen) fraction *= 10;
    }
    if (whole == max_whole && fraction > 0) return false;
    *ret_value = whole * unit + fraction;
    return true;
}

bool price_parse_per_million(const char *text, int64_t *ret_picousd)
{
    return text != NULL && parse_fixed(text, 6, 1000000, ret_picousd);
}

bool price_parse_usd(const char *text, int64_t *ret_nanousd)
{
    return text != NULL && parse_fixed(text, 9, 1000000000, ret_nanousd);
}

enum { NANO = 1000000000 };

/* v nano-dollars with `decimals` (1 to 9) decimals, trailing zeros cut down to `keep` of them. */
static void format_fixed(uint64_t v, unsigned decimals, unsigned keep, const char *sign, char *out, unsigned out_bytes)
{
    uint64_t unit = 1;
    for (unsigned i = decimals; i < 9; i++) unit *= 10;
    v = (v / unit + (v % unit >= (unit + 1) / 2 && unit > 1)) * unit;
    /* Backwards from the last digit; no printf, for each unary answer carries such a figure. */
    char text[40], *at = text + sizeof text;
    uint64_t fraction = v % NANO;
    unsigned n = 9;
    for (; n > keep && fraction % 10 == 0; n--) fraction /= 10;
    *--at = '\0';
    for (unsigned i = 0; i < n; i++, fraction /= 10) *--at = (char)('0' + fraction % 10);
    if (n > 0) *--at = '.';
    uint64_t whole = v / NANO;
    do *--at = (char)('0' + whole % 10);
    while ((whole /= 10) > 0);
    for (size_t i = strlen(sign); i > 0; i--) *--at = sign[i - 1];
    size_t have = (size_t)(text + sizeof text - at);
    if (out_bytes == 0) return;
    if (have > out_bytes) have = out_bytes;
    memcpy(out, at, have);
    out[have - 1] = '\0';
}

static uint64_t magnitude(int64_t v)
{
    return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

void price_format_usd(int64_t nanousd, char *out, unsigned out_bytes)
{
    uint64_t v = magnitude(nanousd);
    unsigned decimals = 4;
    /* four significant digits: one decimal more for each zero behind the point */
    for (uint64_t first = NANO / 10; decimals < 9 && v < first; first /= 10) decimals++;
    format_fixed(v, decimals, 4, nanousd < 0 ? "-$" : "$", out, out_bytes);
}

void price_format_number(int64_t nanousd, char *out, unsigned out_bytes)
{
    format_fixed(magnitude(nanousd), 9, 0, nanousd < 0 ? "-" : "", out, out_bytes);
}

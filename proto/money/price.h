/* price.h — what usage costs, in integers
 * Owns:     nothing.
 * Process:  both planes; the figure a worker books is the figure, nobody computes it again but `weir reprice`.
 * Memory:   none.
 * Fails:    price_cost() tells known from unknown; unknown is never zero. Overflow saturates and says so.
 * Not here: the price list (controlplane/prices), budgets (shm/live). */
#pragma once

#include "proto/money/usage.h"

#include <stdbool.h>
#include <stdint.h>

#define PRICE_UNKNOWN ((int64_t)-1)

/* Pico-dollars (1e-12 USD) per token: 1 USD per million tokens = 1,000,000. PRICE_UNKNOWN where the list has none. */
struct price_rates {
    int64_t input;
    int64_t cache_read;     /* unknown: input */
    int64_t cache_write_5m; /* unknown: input */
    int64_t cache_write_1h; /* unknown: 1.6 x cache_write_5m */
    int64_t output;
    int64_t in_audio;  /* unknown: input */
    int64_t in_image;  /* unknown: input */
    int64_t out_audio; /* unknown: output */
    int64_t out_image; /* unknown: output */
};

struct price_row {
    struct price_rates base;
    struct price_rates tier;        /* for the WHOLE call when its input is above tier_above tokens; all unknown: base.
                                  * input and output unknown here: as in base; the others fall back inside the tier */
    int64_t tier_above_tokens;      /* 0: no tier. A call of exactly this many tokens is still base */
    int64_t per_request_picousd;    /* PRICE_UNKNOWN or 0: none */
    int64_t per_web_search_picousd; /* PRICE_UNKNOWN: a call that searched has an unknown cost */
    int64_t per_second_picousd;     /* this and the next: PRICE_UNKNOWN or 0: none */
    int64_t per_unit_picousd;
    int32_t factor_ppm; /* multiplies everything: 1,000,000 = 1.0 (region, discount); 0 and less: 1.0, never a gift */
    int32_t batch_ppm, flex_ppm, priority_ppm; /* by usage.tier; 0: same as standard */
    uint32_t date;                             /* yyyymmdd of the list row */
    uint8_t known;                             /* 0: nothing is known of this model's price */
    uint8_t free;                              /* 1: known to cost nothing */
    uint16_t regional_permille;                /* by usage.regional: 1,100 = 1.1; 0: same */
};

enum price_basis { PRICE_BASIS_NONE, PRICE_BASIS_REPORTED, PRICE_BASIS_COMPUTED, PRICE_BASIS_ESTIMATED };
const char *price_basis_word(enum price_basis b); /* "reported", "computed", "estimated"; NULL for none */

/* Every rate unknown, factor 1.0, known 0: where a row begins. (An all-zero row would say that everything costs 0.) */
void price_row_init(struct price_row *row);

/* Cost of u in nano-dollars, rounded half up once at the end; above INT64_MAX it is INT64_MAX. false: unknown (no row, or
 * a rate that is needed and unknown). A row with no token rate at all that is priced by call, second or unit needs none. */
bool price_cost(const struct price_row *row, const struct usage *u, int64_t *ret_nanousd);

/* Never below what the call can cost, rounded up: input_tokens at the dearest input rate, output_tokens at the dearest output rate,
 * one request, the dearest service tier. Web searches are not in it. false: unknown price, or one that tokens do not bound. */
bool price_upper_bound(const struct price_row *row, int64_t input_tokens, int64_t output_tokens, int64_t *ret_nanousd);

/* Nothing but tokens (or requests) is priced. */
bool price_is_by_tokens(const struct price_row *row);

/* "2.50" USD per million tokens -> pico-dollars per token. Up to 6 decimals, 0 to 1,000,000; false otherwise. */
bool price_parse_per_million(const char *text, int64_t *ret_picousd);

/* "0.00199" or "12" USD -> nano-dollars. Up to 9 decimals, 0 to 1,000,000,000; false otherwise. */
bool price_parse_usd(const char *text, int64_t *ret_nanousd);

/* "$0.00199", "$18.4200", "-$0.0010": four significant digits, half up, at least 4 decimals and at most 9. For people. */
void price_format_usd(int64_t nanousd, char *out, unsigned out_bytes);
/* "0.00199", "18.42", "0": exact, no zeros at the end: for JSON, CSV and x-weir-cost-usd. 24 bytes are always enough. */
void price_format_number(int64_t nanousd, char *out, unsigned out_bytes);

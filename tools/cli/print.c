#include "tools/cli/print.h"

#include "proto/base/mem.h"
#include "proto/money/price.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool output_parse(const char *text, enum output *ret_output)
{
    static const char *const names[] = {"table", "json", "csv"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *ret_output = (enum output)i;
        return true;
    }
    fprintf(stderr, "weir: -o takes table, json or csv, not \"%s\"\n", text);
    return false;
}

bool colour_is_on(void)
{
    const char *no = getenv("NO_COLOR"), *force = getenv("FORCE_COLOR"), *term = getenv("TERM");
    if (no != NULL && no[0] != '\0') return false;
    if (force != NULL && force[0] != '\0') return true;
    return isatty(STDOUT_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
}

void add_safe(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool c1 = c == 0xC2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xA0; /* U+0080..U+009F in UTF-8 */
        if (c < 0x20 || c == 0x7F || c1)
            buf_addf(out, "\\x%02x", c);
        else
            buf_addc(out, (char)c);
    }
}

/* ---- cells ---- */

static void add_grouped(struct buf *out, int64_t v)
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)(v < 0 ? -v : v));
    if (v < 0) buf_addc(out, '-');
    for (int i = 0; i < n; i++) {
        buf_addc(out, digits[i]);
        if (i + 1 < n && (n - i - 1) % 3 == 0) buf_addc(out, ',');
    }
}

static void add_duration_us(struct buf *out, int64_t us)
{
    if (us < 1000)
        buf_addf(out, "%lld us", (long long)us);
    else if (us < 100000)
        buf_addf(out, "%.1f ms", (double)us / 1e3);
    else if (us < 1000000)
        buf_addf(out, "%lld ms", (long long)(us / 1000));
    else
        buf_addf(out, "%.2f s", (double)us / 1e6);
}

static void add_time(struct buf *out, int64_t wall_ns)
{
    char text[40];
    struct tm tm;
    time_t s = (time_t)(wall_ns / 1000000000);
    int ms = (int)(wall_ns / 1000000 % 1000);
    if (isatty(STDOUT_FILENO)) {
        localtime_r(&s, &tm);
        strftime(text, sizeof text, "%m-%d %H:%M:%S", &tm);
        buf_addf(out, "%s.%03d", text, ms);
    } else {
        gmtime_r(&s, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
        buf_addf(out, "%s.%03dZ", text, ms);
    }
}

static bool integer_of(const msgpack_object *v, int64_t *ret_value)
{
    if (v->type != MSGPACK_OBJECT_POSITIVE_INTEGER && v->type != MSGPACK_OBJECT_NEGATIVE_INTEGER) return false;
    *ret_value = v->via.i64;
    return true;
}

static void add_integer_cell(struct buf *out, int64_t v, enum column_kind kind)
{
    char usd[32];
    switch (kind) {
    case COLUMN_USD:
        price_format_usd(v, usd, sizeof usd);
        buf_addz(out, usd);
        break;
    case COLUMN_MS: add_duration_us(out, v * 1000); break;
    case COLUMN_US: add_duration_us(out, v); break;
    case COLUMN_TIME: add_time(out, v); break;
    case COLUMN_PERCENT: buf_addf(out, "%.1f %%", (double)v / 10.0); break;
    case COLUMN_INT:
    case COLUMN_TEXT: add_grouped(out, v); break;
    }
}

void format_cell(const msgpack_object *value, enum column_kind kind, struct buf *out)
{
    int64_t v;
    if (value == NULL || value->type == MSGPACK_OBJECT_NIL)
        buf_addz(out, kind == COLUMN_USD ? "?" : "-");
    else if (value->type == MSGPACK_OBJECT_STR && value->via.str.size > 0)
        add_safe(out, (struct str){value->via.str.ptr, value->via.str.size});
    else if (value->type == MSGPACK_OBJECT_STR)
        buf_addc(out, '-');
    else if (integer_of(value, &v))
        add_integer_cell(out, v, kind);
    else
        admin_to_json(value, out);
}

/* Columns on screen: UTF-8 continuation bytes take none. */
static size_t width_of(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

/* ---- tables ---- */

static void print_padded(struct str text, size_t width, bool right)
{
    size_t pad = width > width_of(text) ? width - width_of(text) : 0;
    if (right) printf("%*s", (int)pad, "");
    printf("%.*s", STR_FMT(text));
    if (!right) printf("%*s", (int)pad, "");
}

static void print_row(struct buf *const *cells, const size_t *widths, const struct column *columns, size_t n)
{
    for (size_t c = 0; c < n; c++) {
        bool last = c + 1 == n, right = columns[c].kind != COLUMN_TEXT && columns[c].kind != COLUMN_TIME;
        if (c > 0) printf("  ");
        print_padded(buf_view(cells[c]), last && !right ? 0 : widths[c], right);
    }
    printf("\n");
}

/* A column in which no row says anything is left out. */
static size_t drop_empty(const msgpack_object *rows, const struct column *columns, size_t n, struct column *kept)
{
    size_t out = 0;
    for (size_t c = 0; c < n; c++) {
        bool says = rows->via.array.size == 0;
        for (uint32_t r = 0; r < rows->via.array.size && !says; r++) {
            const msgpack_object *v = admin_get(&rows->via.array.ptr[r], columns[c].key);
            bool empty = v == NULL || (v->type == MSGPACK_OBJECT_NIL && columns[c].kind != COLUMN_USD) ||
                         (v->type == MSGPACK_OBJECT_STR && v->via.str.size == 0);
            says = !empty;
        }
        if (says) kept[out++] = columns[c];
    }
    return out;
}

static void print_table(const msgpack_object *rows, const msgpack_object *total, const struct column *all, size_t all_n)
{
    struct column *columns = xcalloc(all_n, sizeof *columns);
    size_t n = drop_empty(rows, all, all_n, columns);
    size_t lines = 1 + rows->via.array.size + (total != NULL ? 1 : 0);
    struct buf **cells = xcalloc(lines * n, sizeof *cells);
    size_t *widths = xcalloc(n, sizeof *widths);
    for (size_t i = 0; i < lines * n; i++) {
        size_t line = i / n, c = i % n;
        cells[i] = xcalloc(1, sizeof **cells);
        if (line == 0)
            buf_addz(cells[i], columns[c].title);
        else if (line - 1 < rows->via.array.size)
            format_cell(admin_get(&rows->via.array.ptr[line - 1], columns[c].key), columns[c].kind, cells[i]);
        else if (c == 0)
            buf_addz(cells[i], "total");
        else if (admin_get(total, columns[c].key) != NULL)
            format_cell(admin_get(total, columns[c].key), columns[c].kind, cells[i]);
        if (width_of(buf_view(cells[i])) > widths[c]) widths[c] = width_of(buf_view(cells[i]));
    }
    for (size_t line = 0; line < lines; line++) {
        const char *on = line == 0 && colour_is_on() ? "\033[1m" : "";
        printf("%s", on);
        print_row(cells + line * n, widths, columns, n);
        if (on[0] != '\0') printf("\033[0m");
    }
    for (size_t i = 0; i < lines * n; i++) {
        buf_fini(cells[i]);
        free(cells[i]);
    }
    free(cells);
    free(widths);
    free(columns);
}

/* ---- CSV: raw figures, RFC 4180 quoting ---- */

static void print_csv_cell(const msgpack_object *v)
{
    struct buf out = {0};
    if (v == NULL || v->type == MSGPACK_OBJECT_NIL) return;
    if (v->type == MSGPACK_OBJECT_STR) {
        buf_addc(&out, '"');
        for (uint32_t i = 0; i < v->via.str.size; i++) {
            if (v->via.str.ptr[i] == '"') buf_addc(&out, '"');
            buf_addc(&out, v->via.str.ptr[i]);
        }
        buf_addc(&out, '"');
    } else {
        admin_to_json(v, &out);
    }
    printf("%.*s", STR_FMT(buf_view(&out)));
    buf_fini(&out);
}

static void print_csv(const msgpack_object *rows, const struct column *columns, size_t n)
{
    for (size_t c = 0; c < n; c++) printf("%s%s", c > 0 ? "," : "", columns[c].key);
    printf("\r\n");
    for (uint32_t r = 0; r < rows->via.array.size; r++) {
        for (size_t c = 0; c < n; c++) {
            if (c > 0) printf(",");
            print_csv_cell(admin_get(&rows->via.array.ptr[r], columns[c].key));
        }
        printf("\r\n");
    }
}

void print_json(const msgpack_object *o)
{
    struct buf out = {0};
    admin_to_json(o, &out);
    printf("%.*s\n", STR_FMT(buf_view(&out)));
    buf_fini(&out);
}

void print_rows(enum output o, const msgpack_object *whole, const msgpack_object *rows, const msgpack_object *total,
                const struct column *columns, size_t n)
{
    static const msgpack_object none = {.type = MSGPACK_OBJECT_ARRAY};
    if (rows == NULL || rows->type != MSGPACK_OBJECT_ARRAY) rows = &none;
    switch (o) {
    case OUTPUT_JSON: print_json(whole); break;
    case OUTPUT_CSV: print_csv(rows, columns, n); break;
    case OUTPUT_TABLE: print_table(rows, total, columns, n); break;
    }
}

#include "controlplane/config/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SHOWN = 160 }; /* characters of a long line that are shown around the place */

void problems_init(struct problems *p, struct str name)
{
    memset(p, 0, sizeof *p);
    arena_init(&p->arena, 4096);
    p->name = arena_copy(&p->arena, name);
}

void problems_fini(struct problems *p)
{
    arena_fini(&p->arena);
    memset(p, 0, sizeof *p);
}

void problems_source(struct problems *p, struct str text)
{
    p->source = arena_copy(&p->arena, text);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* A value that a message quotes may be a provider's key that a ${VAR} has put in the wrong place. */
static void mask_keys(struct buf *text)
{
    char *p = text->p + text->head;
    size_t n = buf_len(text);

    for (size_t i = 0; i + 3 < n; i++) {
        if (memcmp(p + i, "sk-", 3) != 0 || (i > 0 && is_word(p[i - 1]))) continue;
        for (; i < n && is_word(p[i]); i++) p[i] = '*';
    }
}

static struct str copy_masked(struct problems *p, struct str s)
{
    struct buf text = {0};
    struct str copy;

    buf_add(&text, s);
    if (s.n > 0) mask_keys(&text);
    copy = arena_copy(&p->arena, buf_view(&text));
    buf_fini(&text);
    return copy;
}

static void problem_add(struct problems *p, enum problem_level level, struct place at, struct str hint,
                        const char *format, va_list args)
{
    unsigned *count = level == PROBLEM_ERROR ? &p->errors : &p->warnings;
    struct buf text = {0};

    if (++*count > PROBLEMS_KEPT) return;
    buf_addv(&text, format, args);
    p->kept[p->n++] = (struct problem){
        .level = level,
        .at = at,
        .text = copy_masked(p, buf_view(&text)),
        .hint = copy_masked(p, hint),
    };
    buf_fini(&text);
}

void problem_error(struct problems *p, struct place at, struct str hint, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    problem_add(p, PROBLEM_ERROR, at, hint, format, args);
    va_end(args);
}

void problem_warning(struct problems *p, struct place at, struct str hint, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    problem_add(p, PROBLEM_WARNING, at, hint, format, args);
    va_end(args);
}

void problem_file(struct problems *p, struct str path)
{
    if (p->files_n < PROBLEM_FILES) p->file[p->files_n++] = arena_copy(&p->arena, path);
}

void problem_hide_line(struct problems *p)
{
    if (p->n > 0) p->kept[p->n - 1].hide_line = true;
}

/* ---- the source line ---- */

static struct str line_of(struct str source, uint32_t line)
{
    struct str rest = source;
    struct str found = STR_NULL;

    while (line-- > 0) {
        if (rest.n == 0) return STR_NULL;
        found = str_split(&rest, '\n');
    }
    if (str_ends(found, STR("\r"))) found.n--;
    return found;
}

/* Covers, in place, what may be a secret: the value behind a key that holds one, and anything that looks like a provider's key. A value
 * that is only a ${VAR} stays, it is what the reader needs to see. */
static void mask_secrets(char *line, size_t n)
{
    static const char *const names[] = {
        "api_key",           "key",           "token",        "secret", "password", "routing_key",
        "secret_access_key", "client_secret", "session_token"};

    for (size_t i = 0; i < n; i++) {
        size_t value = 0;

        if (i > 0 && is_word(line[i - 1])) continue;
        if (n - i > 3 && (memcmp(line + i, "sk-", 3) == 0 || memcmp(line + i, "pk-", 3) == 0)) value = i;
        for (size_t k = 0; k < sizeof names / sizeof *names && value == 0; k++) {
            size_t len = strlen(names[k]);
            size_t j = i + len;

            if (n - i <= len || memcmp(line + i, names[k], len) != 0) continue;
            if (j < n && (line[j] == '"' || line[j] == '\'')) j++;
            while (j < n && line[j] == ' ') j++;
            if (j < n && line[j] == ':') value = j + 1;
        }
        if (value == 0) continue;
        while (value < n && (line[value] == ' ' || line[value] == '"' || line[value] == '\'')) value++;
        struct str rest = {line + value, n - value};
        ptrdiff_t close = str_chr(rest, '}');
        bool is_reference =
            str_starts(rest, STR("${")) && close > 0 && !str_contains(str_slice(rest, 0, (size_t)close), STR(":-"));
        if (is_reference || str_starts(rest, STR("sha256:"))) continue;
        for (; value < n && !strchr(" ,\"'}]", line[value]); value++) line[value] = '*';
    }
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Byte offset of the character at `column` (from 0); n when the line is shorter. */
static size_t byte_of_column(struct str line, uint32_t column)
{
    size_t i = 0;

    while (i < line.n && column > 0) {
        i++;
        while (i < line.n && is_continuation(line.p[i])) i++;
        column--;
    }
    return i;
}

static void write_source_line(const struct problems *p, const struct problem *e, struct buf *out)
{
    struct str line = line_of(p->source, e->at.line);
    uint32_t column = e->at.column > 0 ? e->at.column - 1 : 0;
    uint32_t skipped = 0;
    char *copy;

    if (e->at.line == 0 || e->hide_line || line.n == 0 || line.n > 1 << 16) return;
    if (column > LINE_SHOWN / 2) {
        skipped = column - LINE_SHOWN / 2;
    }
    copy = malloc(line.n);
    if (copy == NULL) return;
    memcpy(copy, line.p, line.n);
    mask_secrets(copy, line.n);
    line.p = copy;
    line = str_slice(line, byte_of_column(line, skipped), byte_of_column(line, skipped + LINE_SHOWN));
    buf_addf(out, "%5u | ", e->at.line);
    for (size_t i = 0; i < line.n; i++)
        buf_addc(out, (unsigned char)line.p[i] < 0x20 || line.p[i] == 0x7f ? ' ' : line.p[i]);
    buf_addz(out, "\n      | ");
    for (uint32_t i = skipped; i < column; i++) buf_addc(out, ' ');
    buf_addc(out, '^');
    for (uint32_t i = 1; i < e->at.width && column + i < skipped + LINE_SHOWN; i++) buf_addc(out, '~');
    if (e->hint.n > 0) buf_addf(out, "  %.*s", STR_FMT(e->hint));
    buf_addc(out, '\n');
    free(copy);
}

/* ---- output ---- */

static int by_place(const void *a, const void *b)
{
    const struct problem *x = *(const struct problem *const *)a;
    const struct problem *y = *(const struct problem *const *)b;

    if (x->at.line != y->at.line) return x->at.line < y->at.line ? -1 : 1;
    if (x->at.column != y->at.column) return x->at.column < y->at.column ? -1 : 1;
    return x < y ? -1 : 1; /* as found */
}

static void problems_sort(const struct problems *p, const struct problem **sorted)
{
    for (unsigned i = 0; i < p->n; i++) sorted[i] = &p->kept[i];
    qsort(sorted, p->n, sizeof *sorted, by_place);
}

static void write_headline(const struct problems *p, const struct problem *e, struct buf *out)
{
    buf_add(out, p->name);
    if (e->at.line > 0) buf_addf(out, ":%u:%u", e->at.line, e->at.column);
    buf_addf(out, ": %s%.*s", e->level == PROBLEM_WARNING ? "warning: " : "", STR_FMT(e->text));
}

void problems_write_text(const struct problems *p, struct buf *out)
{
    const struct problem *sorted[2 * PROBLEMS_KEPT];

    problems_sort(p, sorted);
    for (unsigned i = 0; i < p->n; i++) {
        const struct problem *e = sorted[i];
        size_t before;

        write_headline(p, e, out);
        buf_addc(out, '\n');
        before = buf_len(out);
        write_source_line(p, e, out);
        if (buf_len(out) == before && e->hint.n > 0) buf_addf(out, "       %.*s\n", STR_FMT(e->hint));
    }
    if (p->errors > PROBLEMS_KEPT) buf_addf(out, "%.*s: %u more errors\n", STR_FMT(p->name), p->errors - PROBLEMS_KEPT);
}

void problems_write_json(const struct problems *p, struct buf *out)
{
    const struct problem *sorted[2 * PROBLEMS_KEPT];

    problems_sort(p, sorted);
    buf_addz(out, "{\"file\":");
    buf_add_json_str(out, p->name);
    buf_addf(out, ",\"ok\":%s,\"errors\":%u,\"warnings\":%u,\"problems\":[", p->errors == 0 ? "true" : "false",
             p->errors, p->warnings);
    for (unsigned i = 0; i < p->n; i++) {
        const struct problem *e = sorted[i];

        buf_addf(out, "%s{\"level\":\"%s\",\"line\":%u,\"column\":%u,\"width\":%u,\"message\":", i > 0 ? "," : "",
                 e->level == PROBLEM_ERROR ? "error" : "warning", e->at.line, e->at.column, e->at.width);
        buf_add_json_str(out, e->text);
        if (e->hint.n > 0) {
            buf_addz(out, ",\"hint\":");
            buf_add_json_str(out, e->hint);
        }
        buf_addc(out, '}');
    }
    buf_addz(out, "]}\n");
}

/* A workflow command's values escape '%', CR and LF; in properties also ':' and ','. */
static void write_github_text(struct str s, bool is_property, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' || s.p[i] == '\r' || s.p[i] == '\n' || (is_property && (s.p[i] == ':' || s.p[i] == ',')))
            buf_addf(out, "%%%02X", (unsigned)s.p[i]);
        else
            buf_addc(out, s.p[i]);
    }
}

void problems_write_github(const struct problems *p, struct buf *out)
{
    const struct problem *sorted[2 * PROBLEMS_KEPT];

    problems_sort(p, sorted);
    for (unsigned i = 0; i < p->n; i++) {
        const struct problem *e = sorted[i];

        buf_addf(out, "::%s file=", e->level == PROBLEM_ERROR ? "error" : "warning");
        write_github_text(p->name, true, out);
        if (e->at.line > 0) buf_addf(out, ",line=%u,col=%u", e->at.line, e->at.column);
        buf_addz(out, "::");
        write_github_text(e->text, false, out);
        if (e->hint.n > 0) {
            buf_addz(out, " (");
            write_github_text(e->hint, false, out);
            buf_addc(out, ')');
        }
        buf_addc(out, '\n');
    }
}

void problems_write_first(const struct problems *p, struct buf *out)
{
    const struct problem *sorted[2 * PROBLEMS_KEPT];

    problems_sort(p, sorted);
    for (unsigned i = 0; i < p->n; i++) {
        if (sorted[i]->level != PROBLEM_ERROR) continue;
        write_headline(p, sorted[i], out);
        if (p->errors > 1) buf_addf(out, " (and %u more)", p->errors - 1);
        return;
    }
}

#include "proto/wire/multipart.h"

/* ---- parameters of a header: name=token or name="quoted" ---- */

/* "; name=value" at the front of *rest, or false. Escapes in a quoted value stay as they are. */
static bool next_parameter(struct str *rest, struct str *ret_name, struct str *ret_value)
{
    size_t at = 0;
    while (at < rest->n && (rest->p[at] == ';' || rest->p[at] == ' ' || rest->p[at] == '\t')) at++;
    size_t from = at;
    while (at < rest->n && rest->p[at] != '=' && rest->p[at] != ';') at++;
    if (at == from || at == rest->n || rest->p[at] != '=') return false;
    *ret_name = str_trim(str_slice(*rest, from, at));
    at++;
    while (at < rest->n && (rest->p[at] == ' ' || rest->p[at] == '\t')) at++;
    bool quoted = at < rest->n && rest->p[at] == '"';
    from = quoted ? ++at : at;
    while (at < rest->n && rest->p[at] != (quoted ? '"' : ';')) at += quoted && rest->p[at] == '\\' ? 2 : 1;
    if (at > rest->n || (quoted && at == rest->n)) return false;
    *ret_value = quoted ? str_slice(*rest, from, at) : str_trim(str_slice(*rest, from, at));
    *rest = str_slice(*rest, quoted ? at + 1 : at, rest->n);
    return true;
}

static bool is_boundary(struct str b)
{
    if (b.n == 0 || b.n > MULTIPART_BOUNDARY_BYTES || b.p[b.n - 1] == ' ') return false;
    for (size_t i = 0; i < b.n; i++) {
        unsigned char c = (unsigned char)b.p[i];
        if (c < 0x20 || c > 0x7E || c == '"' || c == '\\') return false;
    }
    return true;
}

bool multipart_boundary(struct str content_type, struct str *ret_boundary)
{
    const struct str type = STR("multipart/form-data");
    struct str rest = str_trim(content_type), name, value, found = STR_NULL;
    if (rest.n <= type.n || !str_ieq(str_slice(rest, 0, type.n), type)) return false;
    rest = str_slice(rest, type.n, rest.n);
    if (rest.p[0] != ';' && rest.p[0] != ' ' && rest.p[0] != '\t') return false;
    while (next_parameter(&rest, &name, &value)) {
        if (!str_iis(name, "boundary")) continue;
        if (found.n > 0) return false;
        found = value;
    }
    if (!is_boundary(found)) return false;
    *ret_boundary = found;
    return true;
}

/* ---- parts ---- */

/* The next "--boundary" that begins a line, from `at` on; before: where the line break before it begins. false: there is none. */
static bool next_delimiter(struct str body, struct str boundary, size_t at, size_t *ret_before, size_t *ret_after)
{
    while (at < body.n) {
        ptrdiff_t hit = str_find(str_slice(body, at, body.n), boundary);
        if (hit < 0) return false;
        size_t mark = at + (size_t)hit;
        bool dashes = mark >= 2 && body.p[mark - 1] == '-' && body.p[mark - 2] == '-';
        bool begins = dashes && (mark == 2 || (mark >= 4 && body.p[mark - 3] == '\n' && body.p[mark - 4] == '\r'));
        if (begins) {
            *ret_before = mark == 2 ? 0 : mark - 4;
            *ret_after = mark + boundary.n;
            return true;
        }
        at = mark + 1;
    }
    return false;
}

/* One part's head: the name of its field, whether it is a file, and of which type. */
static bool read_head(struct str head, struct str *ret_name, bool *ret_file, struct str *ret_type)
{
    const struct str disposition = STR("content-disposition:"), type = STR("content-type:");
    *ret_type = STR_NULL;
    *ret_name = STR_NULL;
    *ret_file = false;
    while (head.n > 0) {
        struct str line = str_split(&head, '\n'), name, value;
        if (line.n > 0 && line.p[line.n - 1] == '\r') line.n--;
        if (line.n >= type.n && str_ieq(str_slice(line, 0, type.n), type))
            *ret_type = str_trim(str_slice(line, type.n, line.n));
        if (line.n < disposition.n || !str_ieq(str_slice(line, 0, disposition.n), disposition)) continue;
        if (ret_name->p != NULL) return false;
        line = str_trim(str_slice(line, disposition.n, line.n));
        (void)str_split(&line, ';'); /* "form-data" */
        while (next_parameter(&line, &name, &value)) {
            if (str_iis(name, "name")) {
                if (ret_name->p != NULL) return false;
                *ret_name = value;
            } else if (str_iis(name, "filename") || str_iis(name, "filename*")) {
                *ret_file = true;
            }
        }
    }
    return true;
}

static enum multipart_find find(struct str body, struct str boundary, const char *name, bool file, struct str *ret_type,
                                struct str *ret_value)
{
    const struct str blank = STR("\r\n\r\n");
    enum multipart_find result = MULTIPART_ABSENT;
    size_t before, after, next_before, next_after;
    if (!next_delimiter(body, boundary, 0, &before, &after)) return MULTIPART_BAD;
    for (;;) {
        struct str rest = str_slice(body, after, body.n), field, type;
        if (str_starts(rest, STR("--"))) return result;
        bool is_file;
        /* blanks may stand behind a boundary; a part without headers has its blank line at once */
        ptrdiff_t line = str_find(rest, STR("\r\n")),
                  end = line < 0 ? -1 : str_find(str_slice(rest, (size_t)line, rest.n), blank);
        if (end < 0 || str_trim(str_slice(rest, 0, (size_t)line)).n > 0) return MULTIPART_BAD;
        size_t value = after + (size_t)line + (size_t)end + blank.n;
        struct str head = str_slice(rest, (size_t)line, (size_t)line + (size_t)end);
        /* an empty value's delimiter begins with the blank line's own end */
        if (!next_delimiter(body, boundary, value - 2, &next_before, &next_after) ||
            !read_head(head, &field, &is_file, &type))
            return MULTIPART_BAD;
        if (next_before + 2 == value) next_before = value; /* nothing between head and delimiter */
        if (next_before < value) return MULTIPART_BAD;
        if (is_file == file && str_is(field, name)) {
            if (result == MULTIPART_FOUND) return MULTIPART_TWICE;
            result = MULTIPART_FOUND;
            *ret_value = str_slice(body, value, next_before);
            *ret_type = type;
        }
        after = next_after;
    }
}

enum multipart_find multipart_find(struct str body, struct str boundary, const char *name, struct str *ret_value)
{
    struct str type;
    return find(body, boundary, name, false, &type, ret_value);
}

enum multipart_find multipart_find_file(struct str body, struct str boundary, const char *name, struct str *ret_type,
                                        struct str *ret_value)
{
    return find(body, boundary, name, true, ret_type, ret_value);
}

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

/* Whether parameters are left that next_parameter() could not read: another parser may see more in them. */
static bool parameters_left(struct str rest)
{
    size_t at = 0;
    while (at < rest.n && (rest.p[at] == ';' || rest.p[at] == ' ' || rest.p[at] == '\t')) at++;
    return at < rest.n;
}

/* "name*", "name*0" (RFC 2231): only some parsers know that they mean `name`. */
static bool is_extended(struct str name, struct str plain)
{
    return name.n > plain.n && name.p[plain.n] == '*' && str_ieq(str_slice(name, 0, plain.n), plain);
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
        if (is_extended(name, STR("boundary"))) return false;
        if (!str_iis(name, "boundary")) continue;
        if (found.n > 0) return false;
        found = value;
    }
    if (parameters_left(rest) || !is_boundary(found)) return false;
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

struct part {
    struct str name, type; /* of its field; its content-type */
    bool file;             /* it has a file name */
    bool doubtful;         /* another parser may see another name, or no file name */
};

/* Lines that end in CRLF, none of them folded, no NUL: what every parser takes apart alike. */
static bool lines_are_plain(struct str head)
{
    for (size_t i = 0; i < head.n; i++) {
        bool after = i > 0 && head.p[i - 1] == '\r';
        if (head.p[i] == '\0' || (head.p[i] == '\n') != after) return false;
        if ((head.p[i] == ' ' || head.p[i] == '\t') && i > 0 && head.p[i - 1] == '\n') return false;
    }
    return head.n == 0 || head.p[head.n - 1] != '\r';
}

static bool read_disposition(struct str line, struct part *ret_part)
{
    struct str name, value;
    ret_part->doubtful = !str_iis(str_trim(str_split(&line, ';')), "form-data");
    while (next_parameter(&line, &name, &value)) {
        if (is_extended(name, STR("name"))) return false;
        if (str_iis(name, "name")) {
            if (ret_part->name.p != NULL) return false;
            ret_part->name = value;
        } else if (str_iis(name, "filename") || is_extended(name, STR("filename"))) {
            ret_part->file = true;
        }
    }
    ret_part->doubtful |= parameters_left(line);
    return true;
}

/* One part's head. false: parsers would disagree about it whichever field is looked for. */
static bool read_head(struct str head, struct part *ret_part)
{
    bool disposed = false;
    *ret_part = (struct part){.name = STR_NULL, .type = STR_NULL};
    if (!lines_are_plain(head)) return false;
    while (head.n > 0) {
        struct str line = str_split(&head, '\n');
        if (line.n > 0 && line.p[line.n - 1] == '\r') line.n--;
        if (line.n == 0) continue; /* the boundary's own line ends here */
        struct str name = str_split(&line, ':');
        if (name.n == 0 || line.p == NULL || str_trim(name).n < name.n) return false; /* no colon, or blanks */
        if (str_iis(name, "content-type")) ret_part->type = str_trim(line);
        if (!str_iis(name, "content-disposition")) continue;
        if (disposed || !read_disposition(line, ret_part)) return false;
        disposed = true;
    }
    return true;
}

/* Whether the field's name is `name` once its escapes are gone: some parsers take them out, others do not. */
static bool is_named(struct str field, const char *name)
{
    for (size_t i = 0; i < field.n; i++) {
        if (field.p[i] == '\\' && i + 1 < field.n) i++;
        if (*name == '\0' || field.p[i] != *name++) return false;
    }
    return *name == '\0';
}

static enum multipart_find find(struct str body, struct str boundary, const char *name, bool file, struct str *ret_type,
                                struct str *ret_value)
{
    const struct str blank = STR("\r\n\r\n");
    enum multipart_find result = MULTIPART_ABSENT;
    size_t before, after, next_before, next_after;
    if (!next_delimiter(body, boundary, 0, &before, &after)) return MULTIPART_BAD;
    for (;;) {
        struct str rest = str_slice(body, after, body.n);
        if (str_starts(rest, STR("--"))) return result;
        struct part part;
        /* blanks may stand behind a boundary; a part without headers has its blank line at once */
        ptrdiff_t line = str_find(rest, STR("\r\n")),
                  end = line < 0 ? -1 : str_find(str_slice(rest, (size_t)line, rest.n), blank);
        if (end < 0 || str_trim(str_slice(rest, 0, (size_t)line)).n > 0) return MULTIPART_BAD;
        size_t value = after + (size_t)line + (size_t)end + blank.n;
        struct str head = str_slice(rest, (size_t)line, (size_t)line + (size_t)end);
        /* from the boundary on: a head does not reach into the next part. An empty value's delimiter begins with the blank
         * line's own end */
        if (!next_delimiter(body, boundary, after, &next_before, &next_after) || !read_head(head, &part))
            return MULTIPART_BAD;
        if (next_before + 2 == value) next_before = value; /* nothing between head and delimiter */
        if (next_before < value) return MULTIPART_BAD;
        bool plain = str_is(part.name, name);
        if (part.doubtful ? part.name.p == NULL || is_named(part.name, name) : !plain && is_named(part.name, name))
            return MULTIPART_BAD;
        if (part.file == file && plain) {
            if (result == MULTIPART_FOUND) return MULTIPART_TWICE;
            result = MULTIPART_FOUND;
            *ret_value = str_slice(body, value, next_before);
            *ret_type = part.type;
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

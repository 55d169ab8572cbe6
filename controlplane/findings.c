#include "controlplane/findings.h"

#include <stdarg.h>

static const struct {
    const char *sign, *colour, *word;
} STATES[] = {
    [FINDING_OK] = {"√", "\033[32m", "ok"},
    [FINDING_LOOK] = {"‼", "\033[33m", "look"},
    [FINDING_BAD] = {"×", "\033[31m", "bad"},
};

void findings_init(struct findings *f)
{
    *f = (struct findings){.end = &f->first};
    arena_init(&f->arena, 4096);
}

void findings_fini(struct findings *f)
{
    arena_fini(&f->arena);
}

/* Some of it is a provider's: it must not move the cursor of a terminal. */
static struct str one_line(struct arena *a, struct str text)
{
    char *to = arena_alloc(a, text.n + 1);
    for (size_t i = 0; i < text.n; i++) to[i] = (unsigned char)text.p[i] < ' ' || text.p[i] == 127 ? ' ' : text.p[i];
    to[text.n] = '\0';
    return (struct str){to, text.n};
}

struct finding_section *finding_section(struct findings *f, struct str name)
{
    for (struct finding_section *s = f->first; s != NULL; s = s->next)
        if (str_eq(s->name, name)) return s;
    struct finding_section *s = *f->end = arena_zalloc(&f->arena, sizeof *s);
    s->name = arena_copy(&f->arena, name);
    s->end = &s->first;
    f->end = &s->next;
    return s;
}

void finding_add(struct findings *f, struct finding_section *section, const char *what, enum finding_state state,
                 const char *hint, const char *format, ...)
{
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    buf_addv(&text, format, args);
    va_end(args);
    struct finding *n = *section->end = arena_zalloc(&f->arena, sizeof *n);
    *n = (struct finding){.what = what,
                          .state = state,
                          .text = one_line(&f->arena, str_trim(buf_view(&text))),
                          .hint = hint != NULL ? str_of(hint) : STR_NULL};
    section->end = &n->next;
    f->count[state]++;
    buf_fini(&text);
}

static void add_sum(const struct findings *f, struct buf *out)
{
    unsigned bad = f->count[FINDING_BAD], look = f->count[FINDING_LOOK];
    if (bad == 0 && look == 0)
        buf_addf(out, "\nall %u checks are fine\n", f->count[FINDING_OK]);
    else
        buf_addf(out, "\n%u fine, %u to look at, %u to mend\n", f->count[FINDING_OK], look, bad);
}

static void write_line(const struct finding *n, bool colour, struct buf *out)
{
    const char *on = colour ? STATES[n->state].colour : "", *off = colour ? "\033[0m" : "";
    buf_addf(out, "  %s%s%s %-8s %.*s\n", on, STATES[n->state].sign, off, n->what, STR_FMT(n->text));
    if (n->hint.n > 0 && n->state != FINDING_OK) buf_addf(out, "    %-8s %.*s\n", "", STR_FMT(n->hint));
}

void findings_write_text(const struct findings *f, bool colour, struct buf *out)
{
    for (const struct finding_section *s = f->first; s != NULL; s = s->next) {
        if (s->first == NULL) continue;
        buf_addf(out, "%s%.*s\n", buf_len(out) > 0 ? "\n" : "", STR_FMT(s->name));
        for (const struct finding *n = s->first; n != NULL; n = n->next) write_line(n, colour, out);
    }
    add_sum(f, out);
}

void findings_write_json(const struct findings *f, struct buf *out)
{
    const char *comma = "";
    buf_addf(out, "{\"ok\":%s,\"findings\":[", f->count[FINDING_BAD] == 0 ? "true" : "false");
    for (const struct finding_section *s = f->first; s != NULL; s = s->next)
        for (const struct finding *n = s->first; n != NULL; n = n->next, comma = ",") {
            buf_addf(out, "%s\n {\"section\":", comma);
            buf_add_json_str(out, s->name);
            buf_addf(out, ",\"what\":\"%s\",\"state\":\"%s\",\"text\":", n->what, STATES[n->state].word);
            buf_add_json_str(out, n->text);
            buf_addz(out, ",\"hint\":");
            buf_add_json_str(out, n->hint);
            buf_addc(out, '}');
        }
    buf_addz(out, "]}\n");
}

#include "dataplane/slab.h"

#include "proto/base/mem.h"

#include <assert.h>
#include <stdlib.h>

struct slab_link {
    struct slab_link *next;
};

void slab_init(struct slab *s, size_t bytes, unsigned keep, void (*fini)(void *o))
{
    assert(bytes >= sizeof(struct slab_link));
    *s = (struct slab){.bytes = bytes, .keep = keep, .fini = fini};
#ifdef WEIR_ARENA_MALLOC
    s->keep = 0;
#endif
}

void *slab_take(struct slab *s, bool *ret_fresh)
{
    struct slab_link *l = s->free;
    s->out++;
    *ret_fresh = l == NULL;
    if (l == NULL) return xcalloc(1, s->bytes);
    s->free = l->next;
    s->idle--;
    l->next = NULL;
    return l;
}

static void destroy(struct slab *s, void *o)
{
    if (s->fini != NULL) s->fini(o);
    free(o);
}

void slab_give(struct slab *s, void *o)
{
    assert(s->out > 0);
    s->out--;
    if (s->idle >= s->keep) {
        destroy(s, o);
        return;
    }
    struct slab_link *l = o;
    l->next = s->free;
    s->free = l;
    s->idle++;
}

void slab_fini(struct slab *s)
{
    while (s->free != NULL) {
        struct slab_link *l = s->free;
        s->free = l->next;
        s->idle--;
        destroy(s, l);
    }
}

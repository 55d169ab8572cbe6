/* list.h — intrusive doubly linked list
 * Owns:     nothing; a link is embedded in its element, which is in at most one list per link.
 * Process:  any; one owner, no locks.
 * Memory:   none.
 * Fails:    never. Removing an element that is in no list is allowed and does nothing.
 * Not here: ordering, searching. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next; /* a head points at itself when empty; a free link is all NULL */
};

static inline void list_init(struct list *head)
{
    head->prev = head->next = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_add_before(struct list *at, struct list *link)
{
    link->prev = at->prev;
    link->next = at;
    at->prev->next = link;
    at->prev = link;
}

static inline void list_push_back(struct list *head, struct list *link)
{
    list_add_before(head, link);
}

static inline void list_push_front(struct list *head, struct list *link)
{
    list_add_before(head->next, link);
}

static inline void list_remove(struct list *link)
{
    if (link->next == NULL) return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}

#define LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* `it` may be removed inside the loop */
#define LIST_EACH(head, it, after) \
    for (struct list *it = (head)->next, *after = it->next; it != (head); it = after, after = it->next)

/* SPDX-License-Identifier: BSD-2-Clause */
/* list.h: an intrusive, circular, doubly linked list.
 * Owner:   nobody: the links live inside what they link. A link that is in no list points at itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define list_entry(link, type, member) ((type *)(void *)((char *)(link) - offsetof(type, member)))
/* Walks from first to last; the body may remove pos, but not its next. */
#define list_each(pos, head)                                                                                           \
    for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head);                                      \
         pos = pos##_next, pos##_next = pos->next)

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}
static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}
static inline void list_insert(struct list *before, struct list *link)
{
    link->prev = before->prev;
    link->next = before;
    before->prev->next = link;
    before->prev = link;
}
static inline void list_push(struct list *list, struct list *link) /* at the end */
{
    list_insert(list, link);
}
static inline void list_push_front(struct list *list, struct list *link)
{
    list_insert(list->next, link);
}
static inline void list_remove(struct list *link) /* fine when in no list */
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}
static inline struct list *list_first(const struct list *list)
{
    return list->next == list ? NULL : list->next;
}

#endif

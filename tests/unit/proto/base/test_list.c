#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/list.h"

struct item {
    int n;
    struct list link;
};

static int in_order(struct list *head)
{
    int digits = 0;
    LIST_EACH(head, it, after) digits = digits * 10 + LIST_ENTRY(it, struct item, link)->n;
    return digits;
}

static void links_are_added_and_removed(void **state)
{
    (void)state;
    struct list head;
    struct item item[5] = {{.n = 0}, {.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}};
    list_init(&head);
    assert_true(list_is_empty(&head));
    list_push_back(&head, &item[2].link);
    list_push_back(&head, &item[3].link);
    list_push_front(&head, &item[1].link);
    list_add_before(&item[3].link, &item[4].link);
    assert_int_equal(in_order(&head), 1243);
    list_remove(&item[4].link);
    list_remove(&item[4].link); /* in no list: nothing happens */
    list_remove(&item[0].link);
    assert_int_equal(in_order(&head), 123);
    list_push_back(&head, &item[4].link);
    assert_int_equal(in_order(&head), 1234);
    LIST_EACH(&head, it, after)
    if (LIST_ENTRY(it, struct item, link)->n % 2 == 0) list_remove(it);
    assert_int_equal(in_order(&head), 13);
    LIST_EACH(&head, it, after) list_remove(it);
    assert_true(list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_are_added_and_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

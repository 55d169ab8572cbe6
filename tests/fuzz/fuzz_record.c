/* What lies in the ledger: any bytes decode to a record or are refused, and a record that decodes can be written again, summed, counted
 * and printed. The checksum is set right first, else nothing would get past it. */
#include "controlplane/ledger.h"
#include "controlplane/metrics.h"
#include "controlplane/reqlog.h"
#include "shm/segment.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct usage_record *r)
{
    uint8_t stored[RECORD_STORED_MAX];
    struct usage_record back;
    struct sums sums = {0};
    struct buf out = {0};
    uint64_t seq;
    if (!record_decode(stored, record_encode(r, 5, stored), &back, &seq) || seq != 5) abort();
    sums_add_record(&sums, r);
    sums_add_record(&sums, r);
    reqlog_json(r, 1, &out);
    reqlog_text(r, 1, REQLOG_TIME | REQLOG_COLOUR, &out);
    struct metrics *m = metrics_new();
    metrics_record(m, r);
    metrics_write(m, &out);
    metrics_free(&m);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t copy[RECORD_STORED_MAX];
    struct usage_record r;
    struct sums sums;
    struct ledger_rollup_key key;
    uint64_t seq;
    ledger_rollup_key_read(data, size, &key);
    if (size < 4 || size > sizeof copy) return 0;
    memcpy(copy, data, size);
    uint32_t crc = crc32c(0, copy + 4, size - 4);
    memcpy(copy, &crc, 4);
    if (record_decode(copy, size, &r, &seq)) use(&r);
    sums_decode(copy, size, &sums);
    memset(&r, 0, sizeof r); /* and a record as a worker's memory may hold it */
    memcpy(&r, data, size < sizeof r ? size : sizeof r);
    use(&r);
    return 0;
}

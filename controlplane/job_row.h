/* job_row.h — an open task as it lies in the store: what is needed to settle it after any restart
 * Owns:     the stored form and the record that a task's end becomes.
 * Process:  any thread; pure.
 * Memory:   none.
 * Fails:    job_row_read() distrusts every byte: false, output untouched.
 * Not here: asking the provider (jobs.h), the store. */
#pragma once

#include "controlplane/record.h"
#include "proto/dialect/video.h"

struct job_row {
    struct usage_record created; /* of the attempt; `detail` is the task's name */
    uint64_t print;              /* video_print() of the credential that made it; 0: none, or one that is fetched */
    enum video_form form;
    bool has_price;
    struct price_row price; /* of that day */
};

enum { JOB_KEY_BYTES = 4 + 32 + 1, JOB_ROW_MAX = RECORD_STORED_MAX + sizeof(struct price_row) + 64 };
#define JOB_KEY_PREFIX "job:"

void job_key(const struct usage_record *created, char ret_key[JOB_KEY_BYTES]); /* "job:" and the attempt's id */
size_t job_row_write(const struct job_row *row, uint8_t out[JOB_ROW_MAX]);
bool job_row_read(struct str bytes, struct job_row *ret_row);

/* The record of the task's end. task NULL: nobody knows how it ended, it is booked at its bound. Its attempt id follows from the
 * creation's alone: however often a task is settled, the ledger has it once. */
void job_settle(const struct job_row *row, const struct video_task *task, enum weir_err err, uint64_t now_wall_ns,
                struct usage_record *ret_record);

#include "controlplane/ledger_verify.h"

#include "controlplane/ledger_env.h"
#include "proto/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VERIFY_SECONDS = 10, WAIT_MS = 11000, FREE_DBI = 0 };

extern char **environ;

/* ---- the child ---- */

struct walk {
    const char *table;
    MDB_txn *txn;
    MDB_dbi dbi, requests;
    size_t rows;
    uint64_t seq_xor;
    struct ledger_counters counters;
    bool has_counters;
    size_t last_pgno;
    char why[160];
};

static bool bad(struct walk *w, const char *what)
{
    snprintf(w->why, sizeof w->why, "%s, row %zu: %s", w->table, w->rows, what);
    return false;
}

static bool check_meta(struct walk *w, const MDB_val *k, const MDB_val *v)
{
    if (k->mv_size == strlen(LEDGER_COUNTERS_KEY) && memcmp(k->mv_data, LEDGER_COUNTERS_KEY, k->mv_size) == 0) {
        w->has_counters = counters_decode(v->mv_data, v->mv_size, &w->counters);
        return w->has_counters ? true : bad(w, "the counters do not match their checksum");
    }
    size_t prefix = strlen(LEDGER_POSITION_PREFIX);
    if (k->mv_size > prefix && memcmp(k->mv_data, LEDGER_POSITION_PREFIX, prefix) == 0 && v->mv_size == 8) return true;
    return bad(w, "unknown key");
}

static bool check_record(struct walk *w, const MDB_val *k, const MDB_val *v)
{
    struct usage_record r;
    uint64_t seq;
    if (!record_decode(v->mv_data, v->mv_size, &r, &seq)) return bad(w, "the record does not match its checksum");
    if (k->mv_size != 16 || memcmp(k->mv_data, r.attempt_id, 16) != 0)
        return bad(w, "the record is under another attempt's key");
    if (seq >= w->counters.next_seq) return bad(w, "the record is newer than the ledger");
    w->seq_xor ^= seq;
    uint8_t index[LEDGER_REQUEST_KEY];
    ledger_request_key(&r, index);
    MDB_val key = ledger_val(index, sizeof index), value;
    if (mdb_get(w->txn, w->requests, &key, &value) != 0) return bad(w, "the record is not in the index");
    return true;
}

static bool check_row(struct walk *w, enum ledger_table t, const MDB_val *k, const MDB_val *v)
{
    struct ledger_rollup_key key;
    struct sums sums;
    struct str blob;
    switch (t) {
    case T_META: return check_meta(w, k, v);
    case T_RECORDS: return check_record(w, k, v);
    case T_REQUESTS: return k->mv_size == LEDGER_REQUEST_KEY && v->mv_size == 0 ? true : bad(w, "no index row");
    case T_ROLLUPS:
        return ledger_rollup_key_read(k->mv_data, k->mv_size, &key) && sums_decode(v->mv_data, v->mv_size, &sums)
                   ? true
                   : bad(w, "the sums do not match their checksum");
    default: return ledger_blob_value(v, &blob) ? true : bad(w, "the value does not match its checksum");
    }
}

/* Keys must rise: a page that was replaced by an older one shows here. */
static bool walk_table(struct walk *w, enum ledger_table t)
{
    MDB_cursor *cursor;
    MDB_stat stat;
    MDB_val k, v, last = {0};
    w->table = ledger_table_names[t];
    w->rows = 0;
    if (mdb_dbi_open(w->txn, w->table, 0, &w->dbi) != 0 || mdb_stat(w->txn, w->dbi, &stat) != 0 ||
        mdb_cursor_open(w->txn, w->dbi, &cursor) != 0)
        return bad(w, "cannot be opened");
    int rc;
    while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
        size_t n = k.mv_size < last.mv_size ? k.mv_size : last.mv_size;
        int order = w->rows == 0 ? 1 : memcmp(k.mv_data, last.mv_data, n);
        if (order < 0 || (order == 0 && k.mv_size <= last.mv_size)) return bad(w, "out of order");
        if (!check_row(w, t, &k, &v)) return false;
        last = k;
        w->rows++;
    }
    mdb_cursor_close(cursor);
    if (rc != MDB_NOTFOUND) return bad(w, mdb_strerror(rc));
    return w->rows == stat.ms_entries ? true : bad(w, "rows are missing");
}

/* The list of free pages: a page number that cannot be would be handed out by the next write. */
static bool walk_free(struct walk *w)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    w->table = "free pages";
    w->rows = 0;
    if (mdb_cursor_open(w->txn, FREE_DBI, &cursor) != 0) return bad(w, "cannot be opened");
    int rc;
    while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
        size_t count, page, above = SIZE_MAX;
        if (k.mv_size != sizeof(size_t) || v.mv_size < sizeof count) return bad(w, "no list");
        memcpy(&count, v.mv_data, sizeof count);
        if (count >= v.mv_size / sizeof count) return bad(w, "longer than its row");
        for (size_t i = 1; i <= count; i++, above = page) {
            memcpy(&page, (const char *)v.mv_data + i * sizeof page, sizeof page);
            if (page < 2 || page > w->last_pgno || page >= above) return bad(w, "a page that cannot be");
        }
        w->rows++;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? true : bad(w, mdb_strerror(rc));
}

static bool walk_all(struct walk *w)
{
    static const enum ledger_table order[] = {T_META, T_RECORDS, T_REQUESTS, T_ROLLUPS, T_BLOBS};
    size_t rows[TABLES] = {0};
    if (!walk_free(w)) return false;
    w->table = ledger_table_names[T_REQUESTS];
    if (mdb_dbi_open(w->txn, w->table, 0, &w->requests) != 0) return bad(w, "cannot be opened");
    for (unsigned i = 0; i < TABLES; i++) {
        if (!walk_table(w, order[i])) return false;
        rows[order[i]] = w->rows;
        if (order[i] == T_META && !w->has_counters) return bad(w, "the counters are missing");
    }
    w->table = "counters";
    if (rows[T_RECORDS] != w->counters.stored - w->counters.deleted || rows[T_REQUESTS] != rows[T_RECORDS] ||
        w->seq_xor != w->counters.seq_xor)
        return bad(w, "records do not add up");
    w->rows = rows[T_RECORDS];
    return true;
}

static void limit_self(void)
{
    const struct rlimit none = {0, 0}, cpu = {VERIFY_SECONDS, VERIFY_SECONDS};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_FSIZE, &none); /* it only reads */
    setrlimit(RLIMIT_CPU, &cpu);
    alarm(VERIFY_SECONDS);
}

static bool open_to_read(const char *dir, MDB_env **ret_env, struct walk *w)
{
    char path[600];
    struct stat st;
    MDB_envinfo info;
    MDB_stat stat_env;
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    w->table = "data.mdb";
    if (stat(path, &st) != 0 || st.st_size == 0) return bad(w, "empty or missing");
    int rc = mdb_env_create(ret_env);
    if (rc == 0) rc = mdb_env_set_maxdbs(*ret_env, TABLES);
    if (rc == 0) rc = mdb_env_set_mapsize(*ret_env, (size_t)st.st_size);
    if (rc == 0) rc = mdb_env_open(*ret_env, dir, MDB_RDONLY | MDB_NOLOCK | MDB_NORDAHEAD, 0600);
    if (rc == 0) rc = mdb_env_info(*ret_env, &info);
    if (rc == 0) rc = mdb_env_stat(*ret_env, &stat_env);
    if (rc == 0) rc = mdb_txn_begin(*ret_env, NULL, MDB_RDONLY, &w->txn);
    if (rc != 0) return bad(w, mdb_strerror(rc));
    w->last_pgno = info.me_last_pgno;
    if (stat_env.ms_psize == 0 || info.me_last_pgno >= (size_t)st.st_size / stat_env.ms_psize)
        return bad(w, "shorter than its last page");
    return true;
}

int ledger_verify_main(const char *dir)
{
    struct walk w = {0};
    MDB_env *env = NULL;
    limit_self();
    bool sound = open_to_read(dir, &env, &w) && walk_all(&w);
    if (sound)
        printf("sound: %zu records\n", w.rows);
    else
        printf("not sound: %s\n", w.why);
    fflush(stdout);
    _exit(sound ? 0 : 1); /* nothing of a broken file is worth tidying */
}

/* ---- who asks ---- */

static pid_t start(const char *exe, const char *dir, int out)
{
    char *const argv[] = {(char *)(uintptr_t)(exe != NULL ? exe : "weir-controlplane"),
                          (char *)(uintptr_t) "--verify-store", (char *)(uintptr_t)dir, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    pid_t pid = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (posix_spawn(&pid, exe != NULL ? exe : "/proc/self/exe", &actions, &attr, argv, environ) != 0) pid = -1;
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return pid;
}

/* What the child said, until it closes its end or the time is up. */
static void listen_to(int fd, char *text, size_t bytes)
{
    uint64_t until = clock_mono_ms() + WAIT_MS;
    size_t n = 0;
    for (;;) {
        uint64_t now = clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = now >= until ? 0 : poll(&p, 1, (int)(until - now));
        if (ready < 0 && errno == EINTR) continue;
        ssize_t got = ready <= 0 ? 0 : read(fd, text + n, bytes - 1 - n);
        if (got <= 0) break;
        n += (size_t)got;
        if (n == bytes - 1) break;
    }
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

enum ledger_soundness ledger_verify(const char *exe, const char *dir, char *ret_why, unsigned why_bytes)
{
    struct stat st;
    int fds[2];
    char said[200] = "";
    if (lstat(dir, &st) != 0 && errno == ENOENT) return LEDGER_SOUND;
    if (pipe2(fds, O_CLOEXEC) != 0) {
        snprintf(ret_why, why_bytes, "no pipe: %s", strerror(errno));
        return LEDGER_NOT_ASKED;
    }
    pid_t pid = start(exe, dir, fds[1]);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        snprintf(ret_why, why_bytes, "the verification could not be started");
        return LEDGER_NOT_ASKED;
    }
    listen_to(fds[0], said, sizeof said);
    close(fds[0]);
    kill(pid, SIGKILL); /* it has said its line and is about to exit, or it hangs */
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (strncmp(said, "sound:", 6) == 0) return LEDGER_SOUND;
    if (said[0] != '\0')
        snprintf(ret_why, why_bytes, "%s", said);
    else
        snprintf(ret_why, why_bytes, "the verification ended without an answer (signal %d)",
                 WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return LEDGER_NOT_SOUND;
}

bool ledger_quarantine(const char *dir, char *ret_name, unsigned name_bytes)
{
    for (unsigned i = 0; i < 100; i++) {
        struct stat st;
        int n = snprintf(ret_name, name_bytes, "%s.corrupt-%llu", dir,
                         (unsigned long long)(clock_wall_ns() / 1000000000u + i));
        if (n < 0 || (unsigned)n >= name_bytes) return false;
        if (lstat(ret_name, &st) != 0 && errno == ENOENT) return rename(dir, ret_name) == 0;
    }
    return false;
}

// DuckDB reads local files with one libc call, pread. The linker puts the
// function below in front of it (-wrap): a read of an extent that is decrypted
// on read first sees to it that the chunks are there. What is missing it asks
// the parent for; nothing here can decrypt.

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sparse.h"

ssize_t __real_pread(int fd, void *buf, size_t n, off_t off);

// The ring's layout is that of engine/ring.go.
enum { SLOTS = 64, FREE = 0, CLAIMED = 1, POSTED = 2, DONE = 4 };

struct slot {
	_Atomic uint32_t state, index, first, last;
	_Atomic int32_t result;
	char pad[64 - 20];
};

struct ring {
	_Atomic uint32_t bell;
	char pad[60];
	struct slot slot[SLOTS];
};

struct extent {
	struct extent *next;
	ino_t inode;
	dev_t device;
	uint32_t index, shift;
	int64_t size, chunks;
	const _Atomic uint32_t *words;
	_Atomic int readers;
};

enum { BUCKETS = 1024 };

static struct ring *ring;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct extent *table[BUCKETS];
static _Atomic int known;
static _Atomic uint64_t repeats;
static _Atomic uint32_t hint; // where the search for a free slot begins

uint64_t kustos_sparse_repeats(void) { return atomic_load(&repeats); }

int kustos_sparse_ring(int fd) {
	void *p = mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return errno;
	ring = p;
	return 0;
}

int kustos_sparse_add(int data, int ready, uint32_t index, uint32_t shift, int64_t size) {
	struct stat st;
	if (ring == NULL || shift < 12 || shift > 30 || size < 1)
		return EINVAL;
	if (fstat(data, &st) != 0)
		return errno;
	struct extent *e = calloc(1, sizeof(*e));
	if (e == NULL)
		return ENOMEM;
	e->inode = st.st_ino;
	e->device = st.st_dev;
	e->index = index;
	e->shift = shift;
	e->size = size;
	e->chunks = (size + ((int64_t)1 << shift) - 1) >> shift;
	void *p = mmap(NULL, (size_t)e->chunks * 4, PROT_READ, MAP_SHARED, ready, 0);
	if (p == MAP_FAILED) {
		int failed = errno;
		free(e);
		return failed;
	}
	e->words = p;
	pthread_rwlock_wrlock(&lock);
	e->next = table[e->inode % BUCKETS];
	table[e->inode % BUCKETS] = e;
	atomic_fetch_add(&known, 1);
	pthread_rwlock_unlock(&lock);
	return 0;
}

static struct extent *find(const struct stat *st) {
	struct extent *e = table[st->st_ino % BUCKETS];
	while (e != NULL && (e->inode != st->st_ino || e->device != st->st_dev))
		e = e->next;
	return e;
}

int kustos_sparse_remove(int data) {
	struct stat st;
	if (fstat(data, &st) != 0)
		return errno;
	pthread_rwlock_wrlock(&lock);
	struct extent *e = find(&st);
	if (e != NULL) {
		struct extent **at = &table[e->inode % BUCKETS];
		while (*at != e)
			at = &(*at)->next;
		*at = e->next;
		atomic_fetch_sub(&known, 1);
	}
	pthread_rwlock_unlock(&lock);
	if (e == NULL)
		return ENOENT;
	while (atomic_load(&e->readers) != 0)
		sched_yield();
	munmap((void *)e->words, (size_t)e->chunks * 4);
	free(e);
	return 0;
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *limit) {
	return syscall(SYS_futex, word, op, value, limit, NULL, 0);
}

static struct slot *claim(void) {
	for (;;) {
		uint32_t from = atomic_fetch_add(&hint, 1);
		for (uint32_t i = 0; i < SLOTS; i++) {
			struct slot *s = &ring->slot[(from + i) % SLOTS];
			uint32_t is = FREE;
			if (atomic_compare_exchange_strong(&s->state, &is, CLAIMED))
				return s;
		}
		sched_yield(); // more readers than slots
	}
}

// ask waits until the parent has met a request; 0 or an errno. When the parent
// is gone the whole process ends, since its control socket does.
static int ask(uint32_t index, int64_t first, int64_t last) {
	struct slot *s = claim();
	atomic_store(&s->index, index);
	atomic_store(&s->first, (uint32_t)first);
	atomic_store(&s->last, (uint32_t)last);
	atomic_store(&s->state, POSTED);
	atomic_fetch_add(&ring->bell, 1);
	futex(&ring->bell, FUTEX_WAKE, 1, NULL);
	const struct timespec limit = {.tv_sec = 1};
	uint32_t is;
	while ((is = atomic_load(&s->state)) != DONE)
		futex(&s->state, FUTEX_WAIT, is, &limit);
	int result = atomic_load(&s->result);
	atomic_store(&s->state, FREE);
	return result;
}

// survey adds the words of a range up and finds the first and the last chunk
// that is not there.
static uint64_t survey(const struct extent *e, int64_t from, int64_t to, int64_t *first, int64_t *last) {
	uint64_t sum = 0;
	*first = -1;
	for (int64_t i = from; i <= to; i++) {
		uint32_t word = atomic_load(&e->words[i]);
		sum += word;
		if (!(word & 1)) {
			if (*first < 0)
				*first = i;
			*last = i;
		}
	}
	return sum;
}

static ssize_t read_sparse(const struct extent *e, int fd, void *buf, size_t n, off_t off) {
	if (off < 0 || off >= e->size || n == 0)
		return __real_pread(fd, buf, n, off);
	int64_t end = (int64_t)n > e->size - off ? e->size : off + (int64_t)n;
	int64_t from = off >> e->shift, to = (end - 1) >> e->shift;
	for (;;) {
		int64_t first, last;
		uint64_t before = survey(e, from, to, &first, &last);
		if (first >= 0) {
			int failed = ask(e->index, first, last);
			if (failed) {
				errno = failed;
				return -1;
			}
			continue;
		}
		ssize_t got = __real_pread(fd, buf, n, off);
		atomic_thread_fence(memory_order_seq_cst);
		if (survey(e, from, to, &first, &last) == before && first < 0)
			return got;
		atomic_fetch_add(&repeats, 1);
	}
}

ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t off) {
	struct stat st;
	if (atomic_load(&known) == 0 || fstat(fd, &st) != 0)
		return __real_pread(fd, buf, n, off);
	pthread_rwlock_rdlock(&lock);
	struct extent *e = find(&st);
	if (e != NULL)
		atomic_fetch_add(&e->readers, 1);
	pthread_rwlock_unlock(&lock);
	if (e == NULL)
		return __real_pread(fd, buf, n, off);
	ssize_t got = read_sparse(e, fd, buf, n, off);
	int failed = errno;
	atomic_fetch_sub(&e->readers, 1);
	errno = failed;
	return got;
}

ssize_t kustos_sparse_pread(int fd, void *buf, size_t n, int64_t off) { return __wrap_pread(fd, buf, n, off); }

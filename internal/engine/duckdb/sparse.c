// DuckDB reads local files with one libc call, pread. The linker puts the
// function below in front of it (-wrap): a read of an extent that is decrypted
// on read first sees to it that the chunks are there. What is missing it asks
// the parent for; nothing here can decrypt.

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sparse.h"

ssize_t __real_pread(int fd, void *buf, size_t n, off_t off);

// The ring's layout is that of engine/ring.go.
enum { BELLS = 16, SLOTS = 64, PROCESSORS = 1024, FREE = 0, CLAIMED = 1, POSTED = 2, DONE = 4 };
enum { BUFFERS_AT = 8 << 10, BUFFER = 2 << 20, MOST = 128 };

typedef unsigned __int128 chunkset; // bit i is chunk i of some, MOST at most

struct slot {
	_Atomic uint32_t state, index, first, last;
	_Atomic int32_t result;
	_Atomic uint32_t begin, server;
	uint32_t unused;
	_Atomic uint64_t given[MOST / 64];
	char pad[64 - 48];
};

struct bell {
	_Atomic uint32_t rung;
	char pad[60];
};

struct ring {
	struct bell bell[BELLS];
	struct slot slot[SLOTS];
	unsigned char server[PROCESSORS];
	char rest[BUFFERS_AT - 64 * (BELLS + SLOTS) - PROCESSORS];
	char buffer[SLOTS][BUFFER];
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

uint64_t kustos_sparse_repeats(void) { return atomic_load(&repeats); }

// held says what the buffer of a slot has since its last request: chunks of an
// extent, from first on those whose bits are set. What an extent holds never
// changes, so it may be copied at any time. Whoever has claimed the slot may touch it.
struct held {
	uint32_t index;
	int64_t first;
	chunkset chunks;
};

static struct held held[SLOTS];
static _Atomic uint32_t owner[SLOTS]; // a thread, 0 none
static _Atomic uint32_t threads;
static _Thread_local uint32_t me; // this thread's number, from 1
static _Thread_local uint32_t mine; // its slot

int kustos_sparse_ring(int fd) {
	void *p = mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return errno;
	ring = p;
	memset(held, 0, sizeof(held)); // that was another ring's
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

static int take(uint32_t i) {
	uint32_t is = FREE;
	if (!atomic_compare_exchange_strong(&ring->slot[i].state, &is, CLAIMED))
		return 0;
	atomic_store(&owner[i], me);
	mine = i;
	return 1;
}

// claim takes the slot this thread had before, or the first that nobody has.
// With more threads than slots they take each other's.
static struct slot *claim(void) {
	if (me == 0)
		me = atomic_fetch_add(&threads, 1) + 1;
	if (atomic_load(&owner[mine]) == me && take(mine))
		return &ring->slot[mine];
	for (;;) {
		for (uint32_t i = 0; i < SLOTS; i++)
			if (atomic_load(&owner[i]) == 0 && take(i))
				return &ring->slot[i];
		for (uint32_t i = 0; i < SLOTS; i++)
			if (take((me + i) % SLOTS))
				return &ring->slot[mine];
		sched_yield();
	}
}

static void leave(struct slot *s) { atomic_store(&s->state, FREE); }

// view is a read of an extent: from off to end, all inside.
struct view {
	const struct extent *e;
	int fd;
	char *buf;
	int64_t off, end;
};

// piece is the part of a view that lies in the chunks from to to.
static char *piece(const struct view *v, int64_t from, int64_t to, int64_t *off, int64_t *n) {
	int64_t begin = from << v->e->shift, end = (to + 1) << v->e->shift;
	if (begin < v->off)
		begin = v->off;
	if (end > v->end)
		end = v->end;
	*off = begin;
	*n = end - begin;
	return v->buf + (begin - v->off);
}

// unpack copies what the buffer of a claimed slot has of the chunks from from on
// whose bits are set in wanted; it returns the bits of those.
static chunkset unpack(const struct view *v, uint32_t slot, int64_t from, chunkset wanted) {
	const struct held *h = &held[slot];
	int64_t by = from - h->first; // chunk from is bit by of the buffer's
	if (h->index != v->e->index || by <= -MOST || by >= MOST)
		return 0;
	wanted &= by >= 0 ? h->chunks >> by : h->chunks << -by;
	for (int i = 0; i < MOST; i++) {
		if (!(wanted >> i & 1))
			continue;
		int run = i;
		while (run < MOST - 1 && wanted >> (run + 1) & 1)
			run++;
		int64_t off, n;
		char *to = piece(v, from + i, from + run, &off, &n);
		memcpy(to, ring->buffer[slot] + (off - (h->first << v->e->shift)), (size_t)n);
		i = run;
	}
	return wanted;
}

// ask waits until the parent has met a request for the chunks from first to
// last; 0 or an errno. The slot stays claimed, its buffer has what was given.
// When the parent is gone the whole process ends, since its control socket does.
static int ask(const struct view *v, struct slot *s, int64_t first, int64_t last) {
	int64_t begin = v->off - (first << v->e->shift);
	atomic_store(&s->index, v->e->index);
	atomic_store(&s->first, (uint32_t)first);
	atomic_store(&s->last, (uint32_t)last);
	atomic_store(&s->begin, begin > 0 ? (uint32_t)begin : 0);
	int cpu = sched_getcpu();
	uint32_t server = cpu >= 0 && cpu < PROCESSORS ? ring->server[cpu] : 0;
	_Atomic uint32_t *bell = &ring->bell[server % BELLS].rung;
	atomic_store(&s->server, server);
	held[mine].chunks = 0;
	atomic_store(&s->state, POSTED);
	atomic_fetch_add(bell, 1);
	futex(bell, FUTEX_WAKE, 1, NULL);
	const struct timespec limit = {.tv_sec = 1};
	uint32_t is;
	while ((is = atomic_load(&s->state)) != DONE)
		futex(&s->state, FUTEX_WAIT, is, &limit);
	atomic_store(&s->state, CLAIMED);
	int result = atomic_load(&s->result);
	if (result == 0)
		held[mine] = (struct held){v->e->index, first, atomic_load(&s->given[0]) | (chunkset)atomic_load(&s->given[1]) << 64};
	return result;
}

static inline uint32_t word(const struct extent *e, int64_t chunk) { return atomic_load(&e->words[chunk]); }

// sum adds the words of a range up; all says whether every chunk is there.
static uint64_t sum(const struct extent *e, int64_t from, int64_t to, int *all) {
	uint64_t sum = 0;
	*all = 1;
	for (int64_t i = from; i <= to; i++) {
		uint32_t w = word(e, i);
		sum += w;
		*all &= w & 1;
	}
	return sum;
}

// ready reads the chunks from to to as far as they are there: 1 when they were,
// before and after, 0 when not, -1 when the read failed.
static int ready(const struct view *v, int64_t from, int64_t to) {
	int all;
	uint64_t before = sum(v->e, from, to, &all);
	if (!all)
		return 0;
	int64_t off, n;
	char *at = piece(v, from, to, &off, &n);
	ssize_t got = __real_pread(v->fd, at, (size_t)n, off);
	if (got < 0)
		return -1;
	if (got != n) {
		errno = EIO;
		return -1;
	}
	atomic_thread_fence(memory_order_seq_cst);
	if (sum(v->e, from, to, &all) == before && all)
		return 1;
	atomic_fetch_add(&repeats, 1);
	return 0;
}

// window reads at most MOST chunks, of which some may be missing, with a slot
// that is claimed; 0 or -1.
static int window(const struct view *v, struct slot *s, int64_t from, int64_t to) {
	const int64_t chunks = to - from + 1;
	const uint32_t slot = (uint32_t)(s - ring->slot);
	chunkset missing = ~(chunkset)0 >> (MOST - chunks); // not in buf yet
	missing &= ~unpack(v, slot, from, missing);
	while (missing != 0) {
		int64_t first = -1, last = -1;
		for (int64_t i = 0; i < chunks; i++) {
			if (!(missing >> i & 1) || word(v->e, from + i) & 1)
				continue;
			if (first < 0)
				first = i;
			last = i;
		}
		if (first >= 0) {
			int failed = ask(v, s, from + first, from + last);
			if (failed) {
				errno = failed;
				return -1;
			}
			missing &= ~unpack(v, slot, from, missing);
			continue;
		}
		for (int64_t i = 0; i < chunks; i++) {
			if (!(missing >> i & 1))
				continue;
			int64_t run = i;
			while (run + 1 < chunks && missing >> (run + 1) & 1)
				run++;
			int done = ready(v, from + i, from + run);
			if (done < 0)
				return -1;
			if (!done)
				break; // evicted: ask again
			for (; i <= run; i++)
				missing &= ~((chunkset)1 << i);
		}
	}
	return 0;
}

static ssize_t read_sparse(const struct extent *e, int fd, void *buf, size_t n, off_t off) {
	if (off < 0 || off >= e->size || n == 0)
		return __real_pread(fd, buf, n, off);
	int64_t end = (int64_t)n > e->size - off ? e->size : off + (int64_t)n;
	int64_t from = off >> e->shift, to = (end - 1) >> e->shift;
	struct view v = {.e = e, .fd = fd, .buf = buf, .off = off, .end = end};
	int done = ready(&v, from, to);
	if (done != 0)
		return done < 0 ? -1 : (ssize_t)(end - off);
	int64_t most = BUFFER >> e->shift;
	if (most > MOST)
		most = MOST;
	if (most < 1)
		most = 1;
	struct slot *s = claim();
	while (done == 0 && from <= to) {
		int64_t last = to - from < most ? to : from + most - 1;
		done = window(&v, s, from, last);
		from = last + 1;
	}
	int failed = errno;
	leave(s);
	errno = failed;
	return done < 0 ? -1 : (ssize_t)(end - off);
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

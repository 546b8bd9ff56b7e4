#ifndef KUSTOS_SPARSE_H
#define KUSTOS_SPARSE_H

#include <stdint.h>
#include <sys/types.h>

// Sets the ring over which missing chunks are asked for; 0 or an errno.
int kustos_sparse_ring(int fd);

// From now on reads of the file behind data go through its words, which are
// mapped from ready (the descriptor may be closed afterwards); 0 or an errno.
int kustos_sparse_add(int data, int ready, uint32_t index, uint32_t shift, int64_t size);

// Ends that. No read of the file may be under way or begin any more.
int kustos_sparse_remove(int data);

// How often a read was repeated because a chunk went under its hands.
uint64_t kustos_sparse_repeats(void);

ssize_t kustos_sparse_pread(int fd, void *buf, size_t n, int64_t off);

#endif

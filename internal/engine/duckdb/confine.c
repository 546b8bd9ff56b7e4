// Landlock binds only the thread that asks for it and the threads that thread
// starts later. Go has several threads before main, so the child asks in a
// constructor, which runs while the process still has one thread.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"

// From the kernel's own header, which is often older than the kernel.
#ifndef __NR_landlock_create_ruleset
#define __NR_landlock_create_ruleset 444
#define __NR_landlock_add_rule 445
#define __NR_landlock_restrict_self 446
#endif

struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

enum {
	CREATE_VERSION = 1,
	RULE_PATH_BENEATH = 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
};

int kustos_landlock_abi = 0;
int kustos_landlock_errno = ENOSYS;

// What DuckDB reads when it opens; without them it dies on a null pointer.
static const char *const readable[] = {
	"/proc/self/cgroup",
	"/proc/self/maps",
	"/proc/meminfo",
	"/proc/stat",
	"/proc/sys/vm/overcommit_memory",
	"/sys/devices/system/cpu/online",
	"/sys/fs/cgroup",
	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
};

static void allow(int rules, const char *path) {
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return; // not on this system, so DuckDB cannot read it either
	struct path_beneath rule = {.allowed = FS_READ_FILE, .parent = fd};
	if (strcmp(path, "/sys/fs/cgroup") == 0)
		rule.allowed |= FS_READ_DIR;
	syscall(__NR_landlock_add_rule, rules, RULE_PATH_BENEATH, &rule, 0);
	close(fd);
}

static int confine(void) {
	long abi = syscall(__NR_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	if (abi < 0)
		return errno;
	struct ruleset all = {.fs = (1ULL << 13) - 1};
	size_t size = sizeof(all.fs);
	if (abi >= 2)
		all.fs |= 1ULL << 13; // move between directories
	if (abi >= 3)
		all.fs |= 1ULL << 14; // truncate
	if (abi >= 5)
		all.fs |= 1ULL << 15; // ioctl on devices
	if (abi >= 4) {
		all.net = 3; // bind and connect TCP
		size = offsetof(struct ruleset, scoped);
	}
	if (abi >= 6) {
		all.scoped = 3; // abstract sockets, signals
		size = sizeof(all);
	}
	int rules = syscall(__NR_landlock_create_ruleset, &all, size, 0);
	if (rules < 0)
		return errno;
	for (size_t i = 0; i < sizeof(readable) / sizeof(*readable); i++)
		allow(rules, readable[i]);
	int failed = 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(__NR_landlock_restrict_self, rules, 0) != 0)
		failed = errno;
	close(rules);
	if (!failed)
		kustos_landlock_abi = (int)abi;
	return failed;
}

__attribute__((constructor)) static void kustos_confine(int argc, char **argv) {
	if (argc == 2 && strcmp(argv[1], "engine") == 0)
		kustos_landlock_errno = confine();
}

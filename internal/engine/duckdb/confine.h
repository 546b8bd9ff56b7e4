#ifndef KUSTOS_CONFINE_H
#define KUSTOS_CONFINE_H

#include <stddef.h>

// The landlock ABI that holds this process, 0 when none does; then the errno
// says why.
extern int kustos_landlock_abi;
extern int kustos_landlock_errno;

#endif

// Preloaded in front of the C library: counts the bytes that are allocated now, and the most at one moment.
//
// Whoever allocates is counted: torch, oneDNN, the C++ runtime and our own workspaces. Built when it is needed:
// cc -O2 -shared -fPIC -o count_allocations.so count_allocations.c
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);
extern void __libc_free(void*);

static atomic_llong now, peak;

long long fastgan_bytes_now(void) { return now; }
long long fastgan_bytes_peak(void) { return peak; }
void fastgan_restart_peak(void) { peak = now; }

static void* taken(void* block) {
  if (block != NULL) {
    const long long size = (long long)malloc_usable_size(block);
    const long long total = atomic_fetch_add(&now, size) + size;
    long long most = peak;
    while (total > most && !atomic_compare_exchange_weak(&peak, &most, total)) {
    }
  }
  return block;
}

static void given_back(void* block) {
  if (block != NULL) atomic_fetch_sub(&now, (long long)malloc_usable_size(block));
}

void* malloc(size_t size) { return taken(__libc_malloc(size)); }
void* calloc(size_t count, size_t size) { return taken(__libc_calloc(count, size)); }
void* memalign(size_t alignment, size_t size) { return taken(__libc_memalign(alignment, size)); }
void* aligned_alloc(size_t alignment, size_t size) { return taken(__libc_memalign(alignment, size)); }

void free(void* block) {
  given_back(block);
  __libc_free(block);
}

void* realloc(void* block, size_t size) {
  const long long before = block == NULL ? 0 : (long long)malloc_usable_size(block);
  void* const moved = __libc_realloc(block, size);
  // On failure the old block stays.
  if (moved != NULL || size == 0) atomic_fetch_sub(&now, before);
  return taken(moved);
}

int posix_memalign(void** block, size_t alignment, size_t size) {
  *block = taken(__libc_memalign(alignment, size));
  return *block == NULL ? ENOMEM : 0;
}

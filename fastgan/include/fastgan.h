/* fastgan.h: generate images on the CPU from a file that `fastgan export RUN` wrote, without Python or torch.
 *
 *   fastgan_error error;
 *   fastgan_generator* generator;
 *   if (fastgan_load_file("generator.safetensors", "auto", &generator, &error) != FASTGAN_OK)
 *     return fputs(error.message, stderr), 1;
 *   float* z = malloc(16 * fastgan_latent_size(generator) * sizeof(float));
 *   uint8_t* pixels = malloc(16 * fastgan_image_size(generator));
 *   ...
 *   fastgan_draw_latents(generator, seed, 0, 16, z, &error);
 *   fastgan_generate_pixels(generator, 16, z, NULL, NULL, pixels, &error);
 *   fastgan_free(generator);
 *
 * Errors. What can fail returns a status, FASTGAN_OK (0) or why not, and writes one sentence for people to
 * the fastgan_error of the caller, who may pass NULL. The text is the caller's memory rather than the
 * library's: it needs no lock and no thread-local state, nothing overwrites it, and it has no lifetime to
 * know. A call that failed has loaded nothing; of an output that it was to fill, any part may be written. No
 * C++ exception leaves the library, and it never prints, exits, reads the environment or the locale, or
 * touches signals.
 *
 * Threads. A generator does not change once it is loaded: any number of threads may use one at once, and each
 * gets the bytes that it would get alone. Only fastgan_free must come last. The library starts no thread and
 * has no global state that a caller could see; it computes on the calling thread, or on the caller's threads
 * through fastgan_pool. A thread that computed keeps up to 24 MiB of working memory until it ends.
 *
 * Bytes. An image is a function of the file, its latent, its label and the capability alone: neither the
 * other images, nor their number, nor the pool, nor other calls change a byte. On one machine, with the same
 * version and capability, it has the bytes that fastgan.frozen.load(file) gives in Python with backend "cpu".
 * This supposes IEEE arithmetic as C programs start with: rounding to nearest, denormals not flushed.
 *
 * Memory that a function reads or writes is the caller's and is not kept. Sizes are counts of numbers, not
 * bytes, unless they say so. docs/c-api.md has how to compile and link, and more.
 */
#ifndef FASTGAN_H
#define FASTGAN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FASTGAN_EXPORT __attribute__((visibility("default")))
#else
#define FASTGAN_EXPORT
#endif

/* Of this header. Grows by one with every addition; what is here is neither changed nor taken away, so that a
 * program runs with every library whose fastgan_c_version() is at least the number it was compiled with. */
#define FASTGAN_C_VERSION 1

/* FASTGAN_C_VERSION of the library. */
FASTGAN_EXPORT int fastgan_c_version(void);

typedef enum fastgan_status {
  FASTGAN_OK = 0,
  FASTGAN_BAD_ARGUMENT = 1,  /* the caller's: a null pointer, a negative count, a label beyond the classes */
  FASTGAN_CANNOT_READ = 2,   /* the operating system's: no such file, no permission */
  FASTGAN_BAD_FILE = 3,      /* damaged, of another format, or not what format frozen/1 allows */
  FASTGAN_UNSUPPORTED = 4,   /* a whole file of a precision that is not computed here: bf16 or fp16 */
  FASTGAN_OUT_OF_MEMORY = 5, /* what was taken is given back; a generator is as good as before */
  FASTGAN_POOL_FAILED = 6,   /* the caller's pool did not run every task exactly once */
  FASTGAN_INTERNAL = 7       /* a mistake of the library */
} fastgan_status;

/* A sentence in UTF-8 without a line break, "" after FASTGAN_OK. */
typedef struct fastgan_error {
  char message[512];
} fastgan_error;

typedef struct fastgan_generator fastgan_generator;

/* Loads a file of format frozen/1 (docs/formats.md) and makes its weights ready; the file is not read again.
 * capability: the instruction sets to compute with, "default", "avx2" or "avx512"; "auto" or NULL is the best
 * that this machine has. *generator is NULL after a failure, else the caller's until fastgan_free. */
FASTGAN_EXPORT fastgan_status fastgan_load_file(const char* path, const char* capability,
                                                fastgan_generator** generator, fastgan_error* error);

/* The same from the `bytes` bytes of such a file at `data`, which need no alignment and may go afterwards. */
FASTGAN_EXPORT fastgan_status fastgan_load_memory(const void* data, size_t bytes, const char* capability,
                                                  fastgan_generator** generator, fastgan_error* error);

/* NULL is allowed. */
FASTGAN_EXPORT void fastgan_free(fastgan_generator* generator);

/* What a generator is. These cannot fail; generator must not be NULL. Height and width are in pixels, and 1
 * where the result is a vector of `channels` numbers; the image size is height * width * channels. Without
 * labels there are 0 classes. The capability is that of fastgan_load_file, "auto" decided: static text. */
FASTGAN_EXPORT int64_t fastgan_latent_size(const fastgan_generator* generator);
FASTGAN_EXPORT int64_t fastgan_channels(const fastgan_generator* generator);
FASTGAN_EXPORT int64_t fastgan_height(const fastgan_generator* generator);
FASTGAN_EXPORT int64_t fastgan_width(const fastgan_generator* generator);
FASTGAN_EXPORT int64_t fastgan_image_size(const fastgan_generator* generator);
FASTGAN_EXPORT int64_t fastgan_classes(const fastgan_generator* generator);
FASTGAN_EXPORT const char* fastgan_capability(const fastgan_generator* generator);

/* Latents first .. first + count - 1 of `seed` to z [count, latent size]: standard normal numbers, those of
 * format noise/1, stream LATENT (docs/noise.md). With them image i has the bytes of image i of
 * `fastgan generate RUN --seed SEED`, if the run has the same weights and the label is the same: without
 * --classes that of image i is i % classes. The same on every machine and for every capability. */
FASTGAN_EXPORT fastgan_status fastgan_draw_latents(const fastgan_generator* generator, uint64_t seed,
                                                   uint64_t first, int64_t count, float* z,
                                                   fastgan_error* error);

/* The caller's threads. parallel_for must call task(argument, index) exactly once for every index from 0 to
 * tasks - 1, on whichever threads and in whichever order, one after the other too, and return when all these
 * calls have returned, by no exception and no longjmp. tasks is at most `threads`. A task never waits for one
 * that has not begun. A call of fastgan_generate_... calls it once, and with `threads` 1 never. */
typedef void (*fastgan_parallel_for)(void* context, int64_t tasks,
                                     void (*task)(void* argument, int64_t index), void* argument);

typedef struct fastgan_pool {
  fastgan_parallel_for parallel_for;
  void* context; /* for parallel_for; the library does not look at it */
  int threads;   /* 1 to 1024: how many may run at once */
} fastgan_pool;

/* `count` images of z [count, latent size] to `images` [count, height, width, channels], numbers in [-1, 1]
 * where the network ends in tanh. labels: [count], each from 0 to classes - 1; NULL exactly where there are
 * no classes. pool: NULL for the calling thread alone. A latent that is a map lies in the order height,
 * width, channels. Any count is allowed, 0 too; work is in parts of 64 images, and so is the memory that is
 * needed beside them. */
FASTGAN_EXPORT fastgan_status fastgan_generate_floats(const fastgan_generator* generator, int64_t count,
                                                      const float* z, const int64_t* labels,
                                                      const fastgan_pool* pool, float* images,
                                                      fastgan_error* error);

/* The same as bytes: clamp(round half to even((x + 1) * 127.5), 0, 255). Not for a vector. */
FASTGAN_EXPORT fastgan_status fastgan_generate_pixels(const fastgan_generator* generator, int64_t count,
                                                      const float* z, const int64_t* labels,
                                                      const fastgan_pool* pool, uint8_t* pixels,
                                                      fastgan_error* error);

#ifdef __cplusplus
}
#endif

#endif

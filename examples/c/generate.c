/* Images from an exported generator as one picture, in C99 with POSIX threads.
 *
 *   fastgan export RUN --out generator.safetensors
 *   cc -std=c99 -O2 examples/c/generate.c $(python -m fastgan c-api --cflags --libs) -pthread -o generate
 *   ./generate generator.safetensors 0 100 grid.ppm --threads 2
 *
 * Image i has the latent i of the seed and, where there are classes, the label i % classes: it is image i of
 * `fastgan generate RUN --seed SEED`. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fastgan.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { DONE = 0, FAILED = 1, WRONG_USAGE = 2 };

#define PART 256          /* images between two reports of progress */
#define MOST_IMAGES 65536 /* in one picture */

static const char usage[] =
    "usage: generate PLAN SEED COUNT PICTURE [--threads N] [--capability NAME] [--repeat N]\n"
    "\n"
    "Writes images 0 to COUNT - 1 of SEED as a grid to PICTURE, a binary .ppm.\n"
    "  PLAN               what `fastgan export RUN` wrote\n"
    "  --threads N        threads to compute on, 1 to 1024 [1]\n"
    "  --capability NAME  auto, avx512, avx2 or default [auto]\n"
    "  --repeat N         make the images N times and print each time's speed, for measuring [1]\n"
    "Exits with 0 when the picture is whole, 1 when it is not there, 2 for a wrong argument.\n";

static int complain(int code, const char* format, ...) {
  va_list values;
  va_start(values, format);
  fputs("generate: ", stderr);
  vfprintf(stderr, format, values);
  fputs("\n", stderr);
  va_end(values);
  return code;
}

/* A pool of threads that live as long as it does; the thread that calls takes tasks too. */
typedef struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed; /* a job came, a job ended, or there will be no more */
  pthread_t* threads;
  int count;                      /* of threads beside the caller's */
  int64_t tasks, begun, finished; /* of the job at hand; all equal when there is none */
  void (*task)(void* argument, int64_t index);
  void* argument;
  int stopping;
} thread_pool;

/* With the mutex held: runs tasks as long as there are any that nobody has begun. */
static void take_tasks(thread_pool* pool) {
  while (pool->begun < pool->tasks) {
    const int64_t index = pool->begun++;
    pthread_mutex_unlock(&pool->mutex);
    pool->task(pool->argument, index);
    pthread_mutex_lock(&pool->mutex);
    if (++pool->finished == pool->tasks) pthread_cond_broadcast(&pool->changed);
  }
}

static void* work(void* context) {
  thread_pool* const pool = context;
  pthread_mutex_lock(&pool->mutex);
  while (!pool->stopping) {
    take_tasks(pool);
    if (!pool->stopping) pthread_cond_wait(&pool->changed, &pool->mutex);
  }
  pthread_mutex_unlock(&pool->mutex);
  return NULL;
}

/* The fastgan_parallel_for of this pool. */
static void run_tasks(void* context, int64_t tasks, void (*task)(void* argument, int64_t index),
                      void* argument) {
  thread_pool* const pool = context;
  pthread_mutex_lock(&pool->mutex);
  pool->task = task;
  pool->argument = argument;
  pool->tasks = tasks;
  pool->begun = pool->finished = 0;
  pthread_cond_broadcast(&pool->changed);
  take_tasks(pool);
  while (pool->finished < pool->tasks) pthread_cond_wait(&pool->changed, &pool->mutex);
  pthread_mutex_unlock(&pool->mutex);
}

static void stop_pool(thread_pool* pool) {
  pthread_mutex_lock(&pool->mutex);
  pool->stopping = 1;
  pthread_cond_broadcast(&pool->changed);
  pthread_mutex_unlock(&pool->mutex);
  for (int i = 0; i < pool->count; ++i) pthread_join(pool->threads[i], NULL);
  pthread_cond_destroy(&pool->changed);
  pthread_mutex_destroy(&pool->mutex);
  free(pool->threads);
}

/* threads: the calling one counts. */
static int start_pool(thread_pool* pool, int threads) {
  memset(pool, 0, sizeof *pool);
  pool->threads = malloc((size_t)threads * sizeof *pool->threads);
  if (pool->threads == NULL) return complain(FAILED, "out of memory");
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->changed, NULL);
  for (; pool->count < threads - 1; ++pool->count) {
    const int error = pthread_create(&pool->threads[pool->count], NULL, &work, pool);
    if (error == 0) continue;
    stop_pool(pool);
    return complain(FAILED, "thread %d of %d does not start (%s)", pool->count + 2, threads, strerror(error));
  }
  return DONE;
}

typedef struct {
  const char *plan, *picture, *capability;
  uint64_t seed;
  int64_t count, repeat;
  int threads;
} options;

/* A whole number from `least` to `most`. */
static int read_number(const char* text, uint64_t least, uint64_t most, uint64_t* number) {
  char* end;
  if (text[0] < '0' || text[0] > '9') return 0;
  errno = 0;
  *number = strtoull(text, &end, 10);
  return errno == 0 && *end == '\0' && *number >= least && *number <= most;
}

static int read_options(int count, char** values, options* to) {
  const char* places[4];
  int found = 0;
  uint64_t number;
  memset(to, 0, sizeof *to);
  to->capability = "auto";
  to->repeat = to->threads = 1;
  for (int i = 1; i < count; ++i) {
    const char* const value = i + 1 < count ? values[i + 1] : "";
    if (strncmp(values[i], "--", 2) != 0) {
      if (found == 4) return complain(WRONG_USAGE, "'%s' is one argument too many\n%s", values[i], usage);
      places[found++] = values[i];
    } else if (strcmp(values[i], "--threads") == 0) {
      if (!read_number(value, 1, 1024, &number))
        return complain(WRONG_USAGE, "--threads must be from 1 to 1024, got '%s'", value);
      to->threads = (int)number;
      ++i;
    } else if (strcmp(values[i], "--repeat") == 0) {
      if (!read_number(value, 1, 1000000, &number))
        return complain(WRONG_USAGE, "--repeat must be from 1 to 1000000, got '%s'", value);
      to->repeat = (int64_t)number;
      ++i;
    } else if (strcmp(values[i], "--capability") == 0) {
      to->capability = value;
      ++i;
    } else {
      return complain(WRONG_USAGE, "there is no option '%s'\n%s", values[i], usage);
    }
  }
  if (found < 4) return complain(WRONG_USAGE, "an argument is missing\n%s", usage);
  to->plan = places[0];
  if (!read_number(places[1], 0, UINT64_MAX, &to->seed))
    return complain(WRONG_USAGE, "SEED must be a whole number below 2^64, got '%s'", places[1]);
  if (!read_number(places[2], 1, MOST_IMAGES, &number))
    return complain(WRONG_USAGE, "COUNT must be from 1 to %d, got '%s'", MOST_IMAGES, places[2]);
  to->count = (int64_t)number;
  to->picture = places[3];
  return DONE;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* All images, part by part, to `pixels` [count][height][width][channels]; z and labels have room for a part.
 */
static int make_images(const fastgan_generator* generator, const options* chosen, const fastgan_pool* pool,
                       float* z, int64_t* labels, unsigned char* pixels) {
  const int64_t classes = fastgan_classes(generator), size = fastgan_image_size(generator);
  double reported = seconds();
  fastgan_error error;
  for (int64_t first = 0; first < chosen->count; first += PART) {
    const int64_t left = chosen->count - first, part = left < PART ? left : PART;
    for (int64_t i = 0; i < part && classes > 0; ++i) labels[i] = (first + i) % classes;
    if (fastgan_draw_latents(generator, chosen->seed, (uint64_t)first, part, z, &error) != FASTGAN_OK ||
        fastgan_generate_pixels(generator, part, z, classes > 0 ? labels : NULL, pool, pixels + first * size,
                                &error) != FASTGAN_OK)
      return complain(FAILED, "%s", error.message);
    if (seconds() - reported < 1.0 && left > part) continue;
    reported = seconds();
    fprintf(stderr, "generate: %lld of %lld images\n", (long long)(first + part), (long long)chosen->count);
  }
  return DONE;
}

/* A row of a picture: channels 1 (grey), 3 or 4 (of which the last is left out) to RGB. */
static void to_rgb(const unsigned char* from, int64_t width, int64_t channels, unsigned char* to) {
  for (int64_t x = 0; x < width; ++x, from += channels) {
    for (int c = 0; c < 3; ++c) *to++ = from[channels == 1 ? 0 : c];
  }
}

/* A half-written picture; a device that was written to stays. */
static void remove_file(const char* path) {
  struct stat facts;
  if (stat(path, &facts) == 0 && S_ISREG(facts.st_mode)) remove(path);
}

/* A grid as wide as high, or one row less high; cells without an image are black. */
static int write_picture(const fastgan_generator* generator, const options* chosen,
                         const unsigned char* pixels) {
  const int64_t channels = fastgan_channels(generator), height = fastgan_height(generator);
  const int64_t width = fastgan_width(generator), size = fastgan_image_size(generator);
  int64_t columns = 1;
  while (columns * columns < chosen->count) ++columns;
  const int64_t rows = (chosen->count + columns - 1) / columns, row_bytes = columns * width * 3;
  unsigned char* const row = malloc((size_t)row_bytes);
  if (row == NULL) return complain(FAILED, "out of memory");
  FILE* const file = fopen(chosen->picture, "wb");
  int good = file != NULL;
  if (good)
    good =
        fprintf(file, "P6\n%lld %lld\n255\n", (long long)(columns * width), (long long)(rows * height)) > 0;
  for (int64_t y = 0; good && y < rows * height; ++y) {
    memset(row, 0, (size_t)row_bytes);
    for (int64_t column = 0; column < columns; ++column) {
      const int64_t image = y / height * columns + column;
      if (image < chosen->count)
        to_rgb(pixels + image * size + y % height * width * channels, width, channels,
               row + column * width * 3);
    }
    good = fwrite(row, 1, (size_t)row_bytes, file) == (size_t)row_bytes;
  }
  int reason = errno;
  if (file != NULL && fclose(file) != 0 && good) good = 0, reason = errno;
  free(row);
  if (good) return DONE;
  if (file != NULL) remove_file(chosen->picture);
  return complain(FAILED, "%s cannot be written (%s)", chosen->picture, strerror(reason));
}

static int make_picture(const fastgan_generator* generator, const options* chosen, const fastgan_pool* pool) {
  const int64_t channels = fastgan_channels(generator), size = fastgan_image_size(generator);
  if (channels != 1 && channels != 3 && channels != 4)
    return complain(FAILED, "%s makes images of %lld channels; a .ppm shows 1, 3 or 4", chosen->plan,
                    (long long)channels);
  float* const z = malloc(PART * (size_t)fastgan_latent_size(generator) * sizeof *z);
  int64_t* const labels = malloc(PART * sizeof *labels);
  unsigned char* const pixels =
      (uint64_t)size <= SIZE_MAX / (size_t)chosen->count ? malloc((size_t)(chosen->count * size)) : NULL;
  int code = z != NULL && labels != NULL && pixels != NULL ? DONE : complain(FAILED, "out of memory");
  for (int64_t i = 0; code == DONE && i < chosen->repeat; ++i) {
    const double begin = seconds();
    code = make_images(generator, chosen, pool, z, labels, pixels);
    if (code == DONE && chosen->repeat > 1)
      printf("%.1f images a second\n", (double)chosen->count / (seconds() - begin));
  }
  if (code == DONE) code = write_picture(generator, chosen, pixels);
  if (code == DONE)
    printf("%s: %lld images of %lldx%lldx%lld, seed %llu, %lld classes, %d threads, %s\n", chosen->picture,
           (long long)chosen->count, (long long)fastgan_height(generator),
           (long long)fastgan_width(generator), (long long)channels, (unsigned long long)chosen->seed,
           (long long)fastgan_classes(generator), chosen->threads, fastgan_capability(generator));
  free(pixels);
  free(labels);
  free(z);
  return code;
}

int main(int count, char** values) {
  options chosen;
  fastgan_generator* generator;
  fastgan_error error;
  thread_pool threads;
  fastgan_pool pool;
  if (count == 2 && strcmp(values[1], "--help") == 0) return fputs(usage, stdout), DONE;
  int code = read_options(count, values, &chosen);
  if (code != DONE) return code;
  if (fastgan_c_version() < FASTGAN_C_VERSION)
    return complain(FAILED, "libfastgan.so is older than the fastgan.h that this was compiled with");
  const fastgan_status status = fastgan_load_file(chosen.plan, chosen.capability, &generator, &error);
  if (status != FASTGAN_OK)
    return complain(status == FASTGAN_BAD_ARGUMENT ? WRONG_USAGE : FAILED, "%s", error.message);
  code = start_pool(&threads, chosen.threads);
  if (code == DONE) {
    pool.parallel_for = &run_tasks;
    pool.context = &threads;
    pool.threads = chosen.threads;
    code = make_picture(generator, &chosen, &pool);
    stop_pool(&threads);
  }
  fastgan_free(generator);
  return code;
}

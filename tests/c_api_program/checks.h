// The checks of the C API, one source each, and what they share.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "fastgan.h"

namespace fastgan::test {

using Bytes = std::vector<unsigned char>;

struct PlanFile {
  std::string name;
  Bytes bytes;
};

// Damaged files: refused with a sentence, or loaded and run without leaving memory.
void check_damage(const PlanFile& file);
// Plans with steps of random kinds and geometry.
void check_random_plans(int plans);
// Every single allocation fails once.
void check_memory(const PlanFile& file);
// Several threads on one generator, others loading and freeing.
void check_threads(const PlanFile& file);

using Random = std::mt19937_64;

inline int64_t integer(Random& random, int64_t least, int64_t most) {
  return std::uniform_int_distribution<int64_t>(least, most)(random);
}

// A generator that is freed with the object; none if `status` is not FASTGAN_OK.
class Loaded {
 public:
  // From memory that ends where the bytes do.
  explicit Loaded(const Bytes& bytes, const char* capability = "auto");
  ~Loaded() { fastgan_free(generator_); }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  fastgan_status status() const { return status_; }
  const std::string& message() const { return message_; }
  const fastgan_generator* get() const { return generator_; }

  // The bytes of images first .. first + count - 1 of seed 1, label i being i % classes, as floats.
  Bytes images(int64_t first, int64_t count, const fastgan_pool* pool) const;

 private:
  fastgan_generator* generator_ = nullptr;
  fastgan_status status_;
  std::string message_;
};

// Three tasks one after the other, the last first; and three threads.
const fastgan_pool* backwards();
const fastgan_pool* three_threads();

// Counts a call that was as it should be; or says what was not.
void passed();
void fail(const std::string& what);

// Allocations that may still succeed, negative for any number; and blocks that are in use.
void allow_allocations(int64_t count);
int64_t live_allocations();

}  // namespace fastgan::test

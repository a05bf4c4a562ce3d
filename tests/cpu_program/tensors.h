// The tensors of one call of a kernel: guarded inputs that must not change, guarded outputs that must be
// filled.
#pragma once

#include <cstdint>
#include <list>
#include <vector>

#include "common/element_type.h"
#include "guarded_memory.h"
#include "numbers.h"

namespace fastgan::test {

// How far a result may be off. Exactly right by default, NaN where NaN is expected.
struct Tolerance {
  double relative = 0, absolute = 0;
  // Only whether it is finite: where the order of infinite terms decides between infinity and NaN.
  bool loose_when_not_finite = false;
};

// Numbers as they lie in memory.
using Stored = std::vector<unsigned char>;
Stored stored(ElementType type, const Numbers& numbers);

class Tensors {
 public:
  explicit Tensors(Guard guard) : guard_(guard) {}

  const void* input(const char* name, const Stored& numbers);
  const void* input(const char* name, ElementType type, const Numbers& numbers);
  // nullptr for no numbers.
  const void* optional_input(const char* name, const Stored& numbers);
  const void* optional_input(const char* name, ElementType type, const Numbers& numbers);
  const void* input_bytes(const char* name, const void* from, size_t bytes);
  // All NaN to begin with.
  void* output(const char* name, ElementType type, int64_t count);
  // All 0 or all 255, by the guard: what was not written differs between the two.
  void* output_bytes(const char* name, int64_t count);

  // Reports what is wrong with an output.
  void expect(const void* output, ElementType type, const Numbers& right, Tolerance tolerance = {}) const;
  void expect_bytes(const void* output, const std::vector<uint8_t>& right) const;
  // Reports changed inputs and margins; returns the bytes of all outputs.
  std::vector<unsigned char> finish() const;

 private:
  struct Tensor {
    Tensor(const char* name, size_t bytes, Guard guard, bool is_output)
        : memory(name, bytes, guard), is_output(is_output) {}
    GuardedMemory memory;
    std::vector<unsigned char> copy;  // of an input
    bool is_output;
  };

  Tensor& add(const char* name, size_t bytes, bool is_output);
  const Tensor& of(const void* data) const;

  Guard guard_;
  std::list<Tensor> tensors_;
};

}  // namespace fastgan::test

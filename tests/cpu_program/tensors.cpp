// Guarded tensors: made, compared with what is expected, and looked over after the call.
#include "tensors.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "report.h"

namespace fastgan::test {
namespace {

bool agree(double got, double right, const Tolerance& tolerance) {
  if (tolerance.loose_when_not_finite && !std::isfinite(right)) return !std::isfinite(got);
  if (std::isnan(right) || std::isinf(right)) return std::isnan(right) ? std::isnan(got) : got == right;
  return std::fabs(got - right) <= tolerance.relative * std::fabs(right) + tolerance.absolute;
}

}  // namespace

Stored stored(ElementType type, const Numbers& numbers) {
  Stored memory(numbers.size() * size_of(type));
  for (size_t i = 0; i < numbers.size(); ++i) store(type, numbers[i], memory.data() + i * size_of(type));
  return memory;
}

Tensors::Tensor& Tensors::add(const char* name, size_t bytes, bool is_output) {
  return tensors_.emplace_back(name, bytes, guard_, is_output);
}

const Tensors::Tensor& Tensors::of(const void* data) const {
  for (const Tensor& tensor : tensors_) {
    if (tensor.memory.data() == data) return tensor;
  }
  std::abort();
}

const void* Tensors::input(const char* name, const Stored& numbers) {
  return input_bytes(name, numbers.data(), numbers.size());
}

const void* Tensors::input(const char* name, ElementType type, const Numbers& numbers) {
  return input(name, stored(type, numbers));
}

const void* Tensors::optional_input(const char* name, const Stored& numbers) {
  return numbers.empty() ? nullptr : input(name, numbers);
}

const void* Tensors::optional_input(const char* name, ElementType type, const Numbers& numbers) {
  return optional_input(name, stored(type, numbers));
}

const void* Tensors::input_bytes(const char* name, const void* from, size_t bytes) {
  Tensor& tensor = add(name, bytes, false);
  if (bytes > 0) std::memcpy(tensor.memory.data(), from, bytes);
  const auto* const data = static_cast<const unsigned char*>(tensor.memory.data());
  tensor.copy.assign(data, data + bytes);
  return data;
}

void* Tensors::output(const char* name, ElementType type, int64_t count) {
  const Tensor& tensor = add(name, static_cast<size_t>(count) * size_of(type), true);
  if (count > 0) std::memset(tensor.memory.data(), 0xff, tensor.memory.bytes());  // NaN in every type
  return tensor.memory.data();
}

void* Tensors::output_bytes(const char* name, int64_t count) {
  const Tensor& tensor = add(name, static_cast<size_t>(count), true);
  if (count > 0) std::memset(tensor.memory.data(), guard_ == Guard::kAfter ? 0 : 255, tensor.memory.bytes());
  return tensor.memory.data();
}

void Tensors::expect(const void* output, ElementType type, const Numbers& right, Tolerance tolerance) const {
  const Tensor& tensor = of(output);
  if (tensor.memory.bytes() != right.size() * size_of(type)) {
    return report().fail(text("%s has another size than the definition's", tensor.memory.name()));
  }
  size_t wrong = 0, first = 0;
  const auto* const from = static_cast<const unsigned char*>(output);
  for (size_t i = 0; i < right.size(); ++i) {
    if (agree(load(type, from + i * size_of(type)), right[i], tolerance)) continue;
    if (wrong++ == 0) first = i;
  }
  if (wrong == 0) return;
  report().fail(text("%s[%zu] must be %.9g, got %.9g (%zu of %zu numbers are wrong)", tensor.memory.name(),
                     first, right[first], load(type, from + first * size_of(type)), wrong, right.size()));
}

void Tensors::expect_bytes(const void* output, const std::vector<uint8_t>& right) const {
  const Tensor& tensor = of(output);
  const auto* const from = static_cast<const uint8_t*>(output);
  for (size_t i = 0; i < right.size(); ++i) {
    if (from[i] == right[i]) continue;
    return report().fail(text("%s[%zu] must be %d, got %d", tensor.memory.name(), i, right[i], from[i]));
  }
}

std::vector<unsigned char> Tensors::finish() const {
  std::vector<unsigned char> bytes;
  for (const Tensor& tensor : tensors_) {
    const auto* const data = static_cast<const unsigned char*>(tensor.memory.data());
    if (!tensor.memory.margin_is_whole()) report().fail(text("wrote outside of %s", tensor.memory.name()));
    if (tensor.is_output) {
      bytes.insert(bytes.end(), data, data + tensor.memory.bytes());
    } else if (tensor.memory.bytes() > 0 && std::memcmp(data, tensor.copy.data(), tensor.copy.size()) != 0) {
      report().fail(text("changed its input %s", tensor.memory.name()));
    }
  }
  return bytes;
}

}  // namespace fastgan::test

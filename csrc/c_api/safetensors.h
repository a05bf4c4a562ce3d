// A safetensors file as format frozen/1 has it: one metadata text and tensors of F32 and I64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fastgan::c_api {

// A tensor where it lies in the file, of any alignment.
struct StoredTensor {
  std::vector<int64_t> shape;
  bool is_index = false;  // I64, else F32
  const unsigned char* data = nullptr;
  int64_t count = 0;
};

struct Safetensors {
  std::string plan;  // the text under the metadata's one key, `fastgan`
  std::map<std::string, StoredTensor> tensors;
};

// Bytes before the header, which give its size.
constexpr size_t kSizeBytes = 8;

// The size of the header that begins with `bytes`, kSizeBytes of them. Throws BadFile where no header of such
// a file is that large.
size_t header_size(const unsigned char* bytes);

// The tensors point into `bytes`, which they cover without gap or overlap, as the format asks. Throws
// BadFile.
Safetensors read_safetensors(const unsigned char* bytes, size_t size);

}  // namespace fastgan::c_api

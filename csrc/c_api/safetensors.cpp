// Reading and checking the header: every number in it is compared with the file's size before it is used.
#include "c_api/safetensors.h"

#include <algorithm>
#include <cstring>

#include "c_api/json.h"
#include "c_api/refusal.h"

// Numbers are copied as they lie in the file.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors files are little-endian");

namespace fastgan::c_api {
namespace {

constexpr uint64_t kLargestHeader = uint64_t{1} << 22;  // of a plan of thousands of steps

StoredTensor tensor(const std::string& name, const Json& entry, const unsigned char* data, int64_t bytes,
                    std::vector<std::pair<int64_t, int64_t>>& ranges) {
  const std::string where = "tensor " + quoted(name);
  const JsonFields fields(entry, where, {"dtype", "shape", "data_offsets"});
  StoredTensor tensor;
  const std::string& type = fields["dtype"].string(fields.where("dtype"));
  if (type != "F32" && type != "I64") throw JsonError(where + " has dtype " + quoted(type));
  tensor.is_index = type == "I64";
  const int64_t width = tensor.is_index ? sizeof(int64_t) : sizeof(float);

  const auto& offsets = fields["data_offsets"].array(fields.where("data_offsets"));
  if (offsets.size() != 2) throw JsonError(fields.where("data_offsets") + " are not two");
  const int64_t begin = offsets[0].integer(fields.where("data_offsets"), 0, bytes);
  const int64_t end = offsets[1].integer(fields.where("data_offsets"), begin, bytes);
  ranges.emplace_back(begin, end);

  tensor.count = 1;
  for (const Json& size : fields["shape"].array(fields.where("shape"))) {
    tensor.shape.push_back(size.integer(fields.where("shape"), 0, INT64_MAX));
    if (__builtin_mul_overflow(tensor.count, tensor.shape.back(), &tensor.count))
      throw JsonError(fields.where("shape") + " is out of range");
  }
  if (tensor.count > bytes / width || tensor.count * width != end - begin)
    throw JsonError(where + " has another shape than data");
  tensor.data = data + begin;
  return tensor;
}

// Throws unless the ranges are all of 0 .. bytes.
void check_cover(std::vector<std::pair<int64_t, int64_t>> ranges, int64_t bytes) {
  std::sort(ranges.begin(), ranges.end());
  int64_t covered = 0;
  for (const auto& range : ranges) {
    if (range.first != covered) throw JsonError("the tensors overlap or leave a gap");
    covered = range.second;
  }
  if (covered != bytes) throw JsonError("there is more data than tensors");
}

Safetensors read_header(const Json& header, const unsigned char* data, size_t bytes) {
  Safetensors file;
  std::vector<std::pair<int64_t, int64_t>> ranges;
  bool planned = false;
  for (const auto& member : header.object("the header")) {
    if (member.first == "__metadata__") {
      const JsonFields metadata(member.second, "the metadata", {"fastgan"});
      file.plan = metadata["fastgan"].string(metadata.where("fastgan"));
      planned = true;
    } else {
      file.tensors.emplace(member.first,
                           tensor(member.first, member.second, data, static_cast<int64_t>(bytes), ranges));
    }
  }
  if (!planned) throw JsonError("the header has no metadata");
  check_cover(std::move(ranges), static_cast<int64_t>(bytes));
  return file;
}

}  // namespace

size_t header_size(const unsigned char* bytes) {
  uint64_t size;
  std::memcpy(&size, bytes, kSizeBytes);
  if (size > kLargestHeader) throw unreadable("its header would be of " + std::to_string(size) + " bytes");
  return static_cast<size_t>(size);
}

Safetensors read_safetensors(const unsigned char* bytes, size_t size) {
  if (size < kSizeBytes) throw unreadable("it has only " + std::to_string(size) + " bytes");
  const size_t header = header_size(bytes), behind = size - kSizeBytes;
  if (header > behind) throw unreadable("it ends within its header");
  try {
    const Json json = Json::parse(reinterpret_cast<const char*>(bytes) + kSizeBytes, header);
    return read_header(json, bytes + kSizeBytes + header, behind - header);
  } catch (const JsonError& error) {
    throw unreadable(error.what());
  }
}

}  // namespace fastgan::c_api

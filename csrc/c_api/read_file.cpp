// Reading in parts, as not everything that has a name has a size.
#include "c_api/read_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "c_api/refusal.h"
#include "c_api/safetensors.h"

namespace fastgan::c_api {
namespace {

constexpr size_t kPart = size_t{1} << 20;

// strerror_r gives a status in POSIX and a text in glibc.
[[maybe_unused]] const char* text_of(int, const char* buffer) { return buffer; }
[[maybe_unused]] const char* text_of(const char* text, const char*) { return text; }

Refusal cannot_read(int error) {
  char buffer[128] = "";
  const std::string text = text_of(strerror_r(error, buffer, sizeof buffer), buffer);
  return Refusal(FASTGAN_CANNOT_READ, error == ENOENT ? "does not exist; `fastgan export` writes one"
                                                      : "cannot be read (" + text + ")");
}

}  // namespace

std::vector<unsigned char> read_file(const char* path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "rb"), &std::fclose);
  if (file == nullptr) throw cannot_read(errno);
  std::vector<unsigned char> bytes;
  size_t size = 0;
  for (bool first = true;; first = false) {
    const size_t wanted = first ? kSizeBytes : kPart;
    bytes.resize(size + wanted);
    const size_t got = std::fread(bytes.data() + size, 1, wanted, file.get());
    if (got < wanted && std::ferror(file.get()) != 0) throw cannot_read(errno);
    size += got;
    if (got < wanted) break;
    if (first) header_size(bytes.data());
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace fastgan::c_api

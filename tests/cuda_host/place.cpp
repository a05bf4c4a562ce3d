// Places compared and in words.
#include "place.h"

#include <cstring>

namespace fastgan::cuda_host {

bool operator==(const Place& a, const Place& b) {
  return a.line == b.line && std::strcmp(a.file, b.file) == 0 && std::strcmp(a.what, b.what) == 0;
}

std::string text(const Place& place) {
  const char* slash = std::strrchr(place.file, '/');
  const char* const name = slash == nullptr ? place.file : slash + 1;
  return std::string(place.what) + " at " + name + ":" + std::to_string(place.line);
}

}  // namespace fastgan::cuda_host

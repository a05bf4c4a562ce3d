// Where a kernel stands when it waits or fails.
#pragma once

#include <string>

namespace fastgan::cuda_host {

struct Place {
  const char* what = "";
  const char* file = "";
  int line = 0;
};

bool operator==(const Place& a, const Place& b);
inline bool operator!=(const Place& a, const Place& b) { return !(a == b); }

// "__syncthreads at kernel.cuh:40"
std::string text(const Place& place);

}  // namespace fastgan::cuda_host

// As default arguments: those of the call.
#define FASTGAN_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

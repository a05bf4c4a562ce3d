// Launches of kernels on the host: at once, block after block, and their errors kept until someone asks.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <tuple>
#include <vector>

#include "vector_types.h"

namespace fastgan::cuda_host {

// Runs body() in every thread of the grid. One launch at a time in the process.
void run_grid(const dim3& grid, const dim3& block, size_t shared_bytes, const std::function<void()>& body);

// A launch as a device would get it: the parameters one after the other, each at its own alignment.
struct Queued {
  const void* kernel;
  dim3 grid, block;
  size_t shared_bytes;
  const unsigned char* parameters;
  size_t parameter_bytes;
};

// Gets launches in place of the kernels' code; returns whether all went well.
using Recorder = bool (*)(const Queued*);
Recorder recorder();
void record(const Queued& queued);

// What went wrong first since the last call on this thread, nullptr if nothing did; good until the next call.
const char* launch_error();

template <class T>
void append(std::vector<unsigned char>& bytes, const T& parameter) {
  const size_t at = (bytes.size() + alignof(T) - 1) / alignof(T) * alignof(T);
  bytes.resize(at + sizeof(T));
  std::memcpy(bytes.data() + at, &parameter, sizeof(T));
}

// As a stream would have it, every thread of the kernel has copies of the arguments.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, void*,
            const Arguments&... arguments) {
  const std::tuple<Parameters...> copies(arguments...);
  if (recorder() != nullptr) {
    std::vector<unsigned char> bytes;
    std::apply([&](const Parameters&... each) { (append(bytes, each), ...); }, copies);
    record({reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, bytes.data(), bytes.size()});
    return;
  }
  run_grid(grid, block, shared_bytes, [&] { std::apply(kernel, copies); });
}

}  // namespace fastgan::cuda_host

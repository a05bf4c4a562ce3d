// Launches of kernels on the host: at once, block after block, and their errors kept until someone asks.
#pragma once

#include <cstddef>
#include <functional>
#include <tuple>

#include "vector_types.h"

namespace fastgan::cuda_host {

// Runs body() in every thread of the grid. One launch at a time in the process.
void run_grid(const dim3& grid, const dim3& block, size_t shared_bytes, const std::function<void()>& body);

// What went wrong first since the last call on this thread, nullptr if nothing did; good until the next call.
const char* launch_error();

// As a stream would have it, every thread of the kernel has copies of the arguments.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, void*,
            const Arguments&... arguments) {
  const std::tuple<Parameters...> copies(arguments...);
  run_grid(grid, block, shared_bytes, [&] { std::apply(kernel, copies); });
}

}  // namespace fastgan::cuda_host

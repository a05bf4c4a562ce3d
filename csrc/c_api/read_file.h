// A whole file in memory.
#pragma once

#include <vector>

namespace fastgan::c_api {

// Throws Refusal, FASTGAN_CANNOT_READ, where the operating system does not give it; BadFile where its first
// bytes are of no safetensors file, so that nothing large is read in vain.
std::vector<unsigned char> read_file(const char* path);

}  // namespace fastgan::c_api

// A plan of format frozen/1 (docs/formats.md): its JSON as the program that common/frozen_program.h checks.
#pragma once

#include <cstdint>
#include <vector>

#include "c_api/safetensors.h"

namespace fastgan::c_api {

struct FrozenFile {
  std::vector<int64_t> steps;  // a program, the places being those of `tensors`
  std::vector<double> slopes;
  std::vector<const StoredTensor*> tensors;  // each tensor of the file, once; weights not yet packed
  int64_t latent_size;
  int64_t image[3];  // channels, height, width
  bool is_vector;    // the image, which then has one pixel
  int64_t classes;
};

// Fields, kinds and the tensors' ranks are as the format has them; what else must fit, the program's check
// says. Throws BadFile, or Refusal for a precision that is not computed here.
FrozenFile read_frozen_file(const Safetensors& file);

}  // namespace fastgan::c_api

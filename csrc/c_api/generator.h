// A loaded plan: its numbers, its packed weights and the steps over them. Nothing of it changes afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "c_api/frozen_file.h"
#include "cpu/capability.h"
#include "cpu/frozen_program.h"

namespace fastgan::c_api {

class Generator {
 public:
  // The file may go when it is made. Throws BadFile.
  Generator(const FrozenFile& file, cpu::Capability capability);

  const std::vector<cpu::FrozenStep>& steps() const { return steps_; }
  cpu::Capability capability() const { return capability_; }
  int64_t latent_size() const { return latent_size_; }
  int64_t classes() const { return classes_; }
  int64_t channels() const { return image_[0]; }
  int64_t height() const { return image_[1]; }
  int64_t width() const { return image_[2]; }
  int64_t image_size() const { return image_[0] * image_[1] * image_[2]; }
  bool is_vector() const { return is_vector_; }

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  using Memory = std::unique_ptr<void, Free>;

  // `bytes` bytes, aligned to 64, as the kernels like it.
  static Memory allocate(size_t bytes);

  // The numbers of a tensor in memory of ours.
  cpu::FrozenNumbers keep(const StoredTensor& tensor);
  cpu::FrozenNumbers pack(const int64_t* step, const StoredTensor& tensor);

  std::vector<Memory> kept_;
  std::vector<cpu::FrozenStep> steps_;  // point into kept_
  cpu::Capability capability_;
  int64_t latent_size_, classes_, image_[3];
  bool is_vector_;
};

}  // namespace fastgan::c_api

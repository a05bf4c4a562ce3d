// Asynchronous copies of a thread: they land when it waits for their group, and destroy what they will
// replace at once.
#pragma once

#include <deque>
#include <vector>

#include "place.h"

namespace fastgan::cuda_host {

class Copies {
 public:
  void start(void* shared, const void* global, bool valid);
  void commit();
  void wait(size_t pending);
  void forget();

 private:
  struct Copy {
    void* shared;
    const void* global;
    bool valid;
  };
  using Group = std::vector<Copy>;

  Group open_;
  std::deque<Group> committed_;
};

}  // namespace fastgan::cuda_host

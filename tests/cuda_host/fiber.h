// A function that can stop in its middle and be continued later; one runs at a time.
#pragma once

#include <cstddef>

#include "context.h"

namespace fastgan::cuda_host {

class Fiber {
 public:
  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();

  // The next resume() begins body(); wherever this fiber was before is forgotten, with what lay on its stack.
  void start(void (*body)());

  // Runs the fiber until it leaves; called from outside of any.
  void resume();

  // Back to where the running fiber was resumed; returns at its next resume(), if there is one.
  static void leave();

 private:
  static void enter();

  char* stack_ = nullptr;  // above a page that nobody may touch
  void (*body_)() = nullptr;
  Context context_;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
};

}  // namespace fastgan::cuda_host

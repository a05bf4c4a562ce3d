// Generators and pools for the checks.
#include <pthread.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "checks.h"

namespace fastgan::test {
namespace {

using Task = void (*)(void*, int64_t);

void run_backwards(void*, int64_t tasks, Task task, void* argument) {
  for (int64_t i = tasks; i-- > 0;) task(argument, i);
}

struct Call {
  Task task;
  void* argument;
  int64_t index;
  pthread_t thread;
};

void* run_call(void* context) {
  const Call& call = *static_cast<Call*>(context);
  call.task(call.argument, call.index);
  return nullptr;
}

// Threads of the operating system, which come without operator new.
void run_threads(void*, int64_t tasks, Task task, void* argument) {
  Call calls[3];
  for (int64_t i = 0; i < tasks; ++i) {
    calls[i] = {task, argument, i, {}};
    if (pthread_create(&calls[i].thread, nullptr, &run_call, &calls[i]) != 0) std::abort();
  }
  for (int64_t i = 0; i < tasks; ++i) pthread_join(calls[i].thread, nullptr);
}

}  // namespace

const fastgan_pool* backwards() {
  static const fastgan_pool pool{&run_backwards, nullptr, 3};
  return &pool;
}

const fastgan_pool* three_threads() {
  static const fastgan_pool pool{&run_threads, nullptr, 3};
  return &pool;
}

Loaded::Loaded(const Bytes& bytes, const char* capability) {
  const std::unique_ptr<unsigned char[]> exact(new unsigned char[bytes.size()]);
  if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
  fastgan_error error;
  status_ = fastgan_load_memory(exact.get(), bytes.size(), capability, &generator_, &error);
  message_ = error.message;
  if ((status_ == FASTGAN_OK) != (generator_ != nullptr)) fail("a status and its generator must agree");
  if ((status_ == FASTGAN_OK) != message_.empty()) fail("a status and its sentence must agree");
}

Bytes Loaded::images(int64_t first, int64_t count, const fastgan_pool* pool) const {
  const int64_t classes = fastgan_classes(generator_);
  std::vector<float> z(static_cast<size_t>(count * fastgan_latent_size(generator_)));
  std::vector<float> images(static_cast<size_t>(count * fastgan_image_size(generator_)));
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < count && classes > 0; ++i) labels.push_back((first + i) % classes);
  fastgan_error error;
  fastgan_status status =
      fastgan_draw_latents(generator_, 1, static_cast<uint64_t>(first), count, z.data(), &error);
  if (status == FASTGAN_OK)
    status = fastgan_generate_floats(generator_, count, z.data(), classes > 0 ? labels.data() : nullptr, pool,
                                     images.data(), &error);
  if (status != FASTGAN_OK) {
    fail(std::string("generating must succeed, but: ") + error.message);
    return {};
  }
  Bytes bytes(images.size() * sizeof(float));
  std::memcpy(bytes.data(), images.data(), bytes.size());
  return bytes;
}

}  // namespace fastgan::test

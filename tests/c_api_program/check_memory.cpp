// Without memory a call says so, gives back what it took, and leaves the generator as it was.
#include "checks.h"

namespace fastgan::test {
namespace {

constexpr int64_t kMost = 100000;  // allocations of a call

void check_loading(const PlanFile& file) {
  for (int64_t allowed = 0; allowed < kMost; ++allowed) {
    const int64_t before = live_allocations();
    fastgan_generator* generator = nullptr;
    fastgan_error error;
    allow_allocations(allowed);
    const fastgan_status status =
        fastgan_load_memory(file.bytes.data(), file.bytes.size(), "auto", &generator, &error);
    allow_allocations(-1);
    fastgan_free(generator);
    if (live_allocations() != before)
      return fail("loading " + file.name + " with " + std::to_string(allowed) +
                  " allocations does not give back memory");
    if (status == FASTGAN_OK) return passed();
    if (status != FASTGAN_OUT_OF_MEMORY || std::string(error.message) != "out of memory")
      return fail("loading without memory must say so, but: " + std::string(error.message));
    passed();
  }
  fail("loading takes too many allocations");
}

// Images of latents that are all 0 and labels that are all 0.
void check_generating(const PlanFile& file, const fastgan_pool* pool) {
  constexpr int64_t kImages = 70;
  const Loaded loaded(file.bytes);
  const Bytes right = loaded.images(0, kImages, nullptr);
  const fastgan_generator* const generator = loaded.get();
  std::vector<float> z(static_cast<size_t>(kImages * fastgan_latent_size(generator)));
  std::vector<float> images(static_cast<size_t>(kImages * fastgan_image_size(generator)));
  const std::vector<int64_t> labels(kImages, 0);
  const int64_t* const given = fastgan_classes(generator) > 0 ? labels.data() : nullptr;
  int enough = 0;  // calls in a row: threads come in any order, and so do their allocations
  for (int64_t allowed = 0; allowed < kMost && enough < 20; ++allowed) {
    fastgan_error error;
    allow_allocations(allowed);
    const fastgan_status status =
        fastgan_generate_floats(generator, kImages, z.data(), given, pool, images.data(), &error);
    allow_allocations(-1);
    enough = status == FASTGAN_OK ? enough + 1 : 0;
    if (status != FASTGAN_OK && status != FASTGAN_OUT_OF_MEMORY)
      fail("generating without memory must say so, but: " + std::string(error.message));
    passed();
  }
  if (enough < 20) fail("generating takes too many allocations");
  if (loaded.images(0, kImages, pool) != right) fail("a call without memory must not change later ones");
}

}  // namespace

void check_memory(const PlanFile& file) {
  check_loading(file);
  check_generating(file, nullptr);
  check_generating(file, backwards());
  check_generating(file, three_threads());
}

}  // namespace fastgan::test

// The functions of fastgan.h: arguments checked, exceptions made statuses and sentences.
#include "fastgan.h"

#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "c_api/caller_pool.h"
#include "c_api/frozen_file.h"
#include "c_api/generator.h"
#include "c_api/read_file.h"
#include "c_api/refusal.h"
#include "c_api/safetensors.h"
#include "cpu/noise.h"

struct fastgan_generator {
  fastgan::c_api::Generator generator;
};

namespace {

using namespace fastgan;
using c_api::Refusal;

constexpr uint32_t kLatentStream = 0;  // LATENT of docs/noise.md
constexpr size_t kShownPath = 200;

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// `text` as far as there is room for whole characters, line breaks and the like shown as '?'.
void say(fastgan_error* error, const char* text) noexcept {
  if (error == nullptr) return;
  size_t length = std::strlen(text);
  if (length >= sizeof error->message) {
    length = sizeof error->message - 1;
    while (length > 0 && continues_character(text[length])) --length;
  }
  for (size_t i = 0; i < length; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    error->message[i] = c < ' ' || c == 0x7F ? '?' : text[i];
  }
  error->message[length] = '\0';
}

// Calls f and says how it went; nothing is thrown out of here, and nothing allocated once memory has run out.
template <class F>
fastgan_status guarded(fastgan_error* error, const F& f) noexcept {
  try {
    f();
    say(error, "");
    return FASTGAN_OK;
  } catch (const Refusal& refusal) {
    say(error, refusal.what());
    return refusal.status();
  } catch (const std::bad_alloc&) {
    say(error, "out of memory");
    return FASTGAN_OUT_OF_MEMORY;
  } catch (const std::length_error&) {
    say(error, "out of memory");
    return FASTGAN_OUT_OF_MEMORY;
  } catch (const std::exception& unexpected) {
    say(error, unexpected.what());
    return FASTGAN_INTERNAL;
  } catch (...) {
    say(error, "an unknown exception");
    return FASTGAN_INTERNAL;
  }
}

void require(bool good, const char* what) {
  if (!good) throw Refusal(FASTGAN_BAD_ARGUMENT, what);
}

cpu::Capability capability_named(const char* name) {
  try {
    return cpu::named(name == nullptr ? "auto" : name);
  } catch (const std::invalid_argument& error) {
    throw Refusal(FASTGAN_BAD_ARGUMENT, error.what());
  }
}

// Complaints of f about a file, with its name before them.
template <class F>
auto about(const std::string& name, const F& f) {
  try {
    return f();
  } catch (const Refusal& refusal) {
    throw Refusal(refusal.status(), name + " " + refusal.what());
  }
}

fastgan_generator* load(const unsigned char* bytes, size_t size, cpu::Capability capability) {
  const c_api::Safetensors file = c_api::read_safetensors(bytes, size);
  return new fastgan_generator{c_api::Generator(c_api::read_frozen_file(file), capability)};
}

// A path, or where that is long its end, so that there is room for the reason.
std::string shown(const char* path) {
  const size_t length = std::strlen(path);
  if (length <= kShownPath) return path;
  const char* end = path + length - kShownPath;
  while (continues_character(*end)) ++end;
  return "..." + std::string(end);
}

void check_labels(const c_api::Generator& generator, int64_t count, const int64_t* labels) {
  const int64_t classes = generator.classes();
  if (classes == 0) return require(labels == nullptr, "labels must be NULL for a generator without classes");
  require(labels != nullptr || count == 0, "labels must not be NULL for a generator with classes");
  const int64_t bad = cpu::first_bad_label(labels, count, classes);
  if (bad < 0) return;
  throw Refusal(FASTGAN_BAD_ARGUMENT, "labels must be from 0 to " + std::to_string(classes - 1) +
                                          ", got labels[" + std::to_string(bad) +
                                          "] = " + std::to_string(labels[bad]));
}

void generate(const fastgan_generator* handle, int64_t count, const float* z, const int64_t* labels,
              const fastgan_pool* pool, bool pixels, void* output) {
  require(handle != nullptr, "generator must not be NULL");
  require(count >= 0, "count must not be negative");
  require(count == 0 || z != nullptr, "z must not be NULL");
  require(count == 0 || output != nullptr, pixels ? "pixels must not be NULL" : "images must not be NULL");
  c_api::check_pool(pool);
  const c_api::Generator& generator = handle->generator;
  require(!pixels || !generator.is_vector(), "this generator gives vectors, which have no pixels");
  require(count <= INT64_MAX / 8 / generator.image_size() && count <= INT64_MAX / 8 / generator.latent_size(),
          "count is larger than any memory");
  check_labels(generator, count, labels);

  cpu::FrozenGeneratorArguments a{};
  a.steps = &generator.steps();
  a.images = count;
  a.z = z;
  a.latent_size = generator.latent_size();
  a.labels = labels;
  a.image_channels = generator.channels();
  a.pixels = pixels;
  a.output = output;
  const c_api::CallerPool threads(pool, generator.capability());
  a.threads = threads.threads();
  cpu::frozen_generator(a, &c_api::CallerPool::run);
}

}  // namespace

int fastgan_c_version(void) { return FASTGAN_C_VERSION; }

fastgan_status fastgan_load_file(const char* path, const char* capability, fastgan_generator** generator,
                                 fastgan_error* error) {
  if (generator != nullptr) *generator = nullptr;
  return guarded(error, [&] {
    require(path != nullptr, "path must not be NULL");
    require(generator != nullptr, "generator must not be NULL");
    const cpu::Capability chosen = capability_named(capability);
    *generator = about(shown(path), [&] {
      const std::vector<unsigned char> bytes = c_api::read_file(path);
      return load(bytes.data(), bytes.size(), chosen);
    });
  });
}

fastgan_status fastgan_load_memory(const void* data, size_t bytes, const char* capability,
                                   fastgan_generator** generator, fastgan_error* error) {
  if (generator != nullptr) *generator = nullptr;
  return guarded(error, [&] {
    require(data != nullptr || bytes == 0, "data must not be NULL");
    require(generator != nullptr, "generator must not be NULL");
    const cpu::Capability chosen = capability_named(capability);
    *generator =
        about("the memory", [&] { return load(static_cast<const unsigned char*>(data), bytes, chosen); });
  });
}

void fastgan_free(fastgan_generator* generator) { delete generator; }

int64_t fastgan_latent_size(const fastgan_generator* generator) { return generator->generator.latent_size(); }

int64_t fastgan_channels(const fastgan_generator* generator) { return generator->generator.channels(); }

int64_t fastgan_height(const fastgan_generator* generator) { return generator->generator.height(); }

int64_t fastgan_width(const fastgan_generator* generator) { return generator->generator.width(); }

int64_t fastgan_image_size(const fastgan_generator* generator) { return generator->generator.image_size(); }

int64_t fastgan_classes(const fastgan_generator* generator) { return generator->generator.classes(); }

const char* fastgan_capability(const fastgan_generator* generator) {
  return cpu::name(generator->generator.capability());
}

fastgan_status fastgan_draw_latents(const fastgan_generator* generator, uint64_t seed, uint64_t first,
                                    int64_t count, float* z, fastgan_error* error) {
  return guarded(error, [&] {
    require(generator != nullptr, "generator must not be NULL");
    require(count >= 0, "count must not be negative");
    require(count == 0 || z != nullptr, "z must not be NULL");
    require(count == 0 || static_cast<uint64_t>(count - 1) <= UINT64_MAX - first,
            "first + count must not be above 2^64");
    cpu::philox_normal(seed, kLatentStream, first, count, generator->generator.latent_size(), z);
  });
}

fastgan_status fastgan_generate_floats(const fastgan_generator* generator, int64_t count, const float* z,
                                       const int64_t* labels, const fastgan_pool* pool, float* images,
                                       fastgan_error* error) {
  return guarded(error, [&] { generate(generator, count, z, labels, pool, false, images); });
}

fastgan_status fastgan_generate_pixels(const fastgan_generator* generator, int64_t count, const float* z,
                                       const int64_t* labels, const fastgan_pool* pool, uint8_t* pixels,
                                       fastgan_error* error) {
  return guarded(error, [&] { generate(generator, count, z, labels, pool, true, pixels); });
}

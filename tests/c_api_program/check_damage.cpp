// Files cut short, with other bytes, and with other words where their JSON has words.
#include <algorithm>
#include <chrono>
#include <cstring>

#include "checks.h"

namespace fastgan::test {
namespace {

constexpr double kSeconds = 5;  // that loading a small file may take, under a sanitizer too

// A range of the header that is a number, a text or a sign.
struct Token {
  size_t begin, end;
};

size_t header_end(const Bytes& bytes) {
  uint64_t size;
  std::memcpy(&size, bytes.data(), sizeof size);
  return sizeof size + static_cast<size_t>(size);
}

bool is_word(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
         c == '_';
}

std::vector<Token> tokens(const Bytes& bytes) {
  std::vector<Token> found;
  const size_t end = header_end(bytes);
  for (size_t at = sizeof(uint64_t); at < end;) {
    size_t next = at + 1;
    while (is_word(bytes[at]) && next < end && is_word(bytes[next])) ++next;
    if (bytes[at] != ' ') found.push_back({at, next});
    at = next;
  }
  return found;
}

// `bytes` with other text for a token, and with the header's size put right.
Bytes replaced(const Bytes& bytes, const Token& token, const std::string& text) {
  Bytes changed(bytes.begin(), bytes.begin() + static_cast<int64_t>(token.begin));
  changed.insert(changed.end(), text.begin(), text.end());
  changed.insert(changed.end(), bytes.begin() + static_cast<int64_t>(token.end), bytes.end());
  const uint64_t size = header_end(bytes) - sizeof(uint64_t) + text.size() - (token.end - token.begin);
  std::memcpy(changed.data(), &size, sizeof size);
  return changed;
}

bool is_sentence(const std::string& message) {
  return message.compare(0, 11, "the memory ") == 0 && message.find('\n') == std::string::npos;
}

// Damage may leave a file good: then it has to run.
void check_one(const Bytes& bytes, const std::string& what) {
  const auto begin = std::chrono::steady_clock::now();
  const Loaded loaded(bytes);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (seconds.count() > kSeconds) fail(what + " takes too long to load");
  if (loaded.status() == FASTGAN_OK) {
    const int64_t size = fastgan_image_size(loaded.get()) + fastgan_latent_size(loaded.get());
    if (size < int64_t{1} << 16) loaded.images(0, 2, backwards());
  } else if (loaded.status() != FASTGAN_BAD_FILE && loaded.status() != FASTGAN_UNSUPPORTED) {
    fail(what + " has status " + std::to_string(loaded.status()) + ": " + loaded.message());
  } else if (!is_sentence(loaded.message())) {
    fail(what + " is refused by: " + loaded.message());
  }
  passed();
}

void check_cut(const PlanFile& file) {
  const size_t header = header_end(file.bytes), size = file.bytes.size();
  const size_t step = std::max<size_t>(1, (size - header) / 50);
  for (size_t length = 0; length < size; length += length < header + 40 ? 1 : step) {
    Bytes cut(file.bytes.begin(), file.bytes.begin() + static_cast<int64_t>(length));
    check_one(cut, file.name + " cut at " + std::to_string(length));
    if (Loaded(cut).status() != FASTGAN_BAD_FILE)
      fail(file.name + " cut at " + std::to_string(length) + " is taken");
    if (length < sizeof(uint64_t) || length > header) continue;
    // The same, and the header says that it ends there: so does the memory.
    const uint64_t left = length - sizeof(uint64_t);
    std::memcpy(cut.data(), &left, sizeof left);
    check_one(cut, file.name + " with a header cut at " + std::to_string(length));
  }
}

void check_tokens(const PlanFile& file) {
  static const char* const kTexts[] = {"",
                                       "0",
                                       "1",
                                       "-1",
                                       "2",
                                       "3",
                                       "7",
                                       "255",
                                       "65536",
                                       "268435456",
                                       "2147483647",
                                       "2147483648",
                                       "4294967296",
                                       "1e9",
                                       "1e999",
                                       "0.5",
                                       "true",
                                       "null",
                                       "[",
                                       "}",
                                       "\\\"",
                                       "frozen",
                                       "9223372036854775807"};
  const std::vector<Token> all = tokens(file.bytes);
  for (const Token& token : all) {
    for (const char* text : kTexts)
      check_one(replaced(file.bytes, token, text),
                file.name + " with '" + text + "' at " + std::to_string(token.begin));
  }
  // One word in the place of another, twice.
  Random random(2);
  const auto word = [&](const Token& token) {
    return std::string(file.bytes.begin() + static_cast<int64_t>(token.begin),
                       file.bytes.begin() + static_cast<int64_t>(token.end));
  };
  for (int k = 0; k < 3000; ++k) {
    Bytes changed = file.bytes;
    for (int i = 0; i < 2; ++i) {
      const std::vector<Token> now = tokens(changed);
      const auto most = static_cast<int64_t>(now.size()) - 1;
      changed =
          replaced(changed, now[static_cast<size_t>(integer(random, 0, most))],
                   word(all[static_cast<size_t>(integer(random, 0, static_cast<int64_t>(all.size()) - 1))]));
    }
    check_one(changed, file.name + " with exchanged words, number " + std::to_string(k));
  }
}

void check_bytes(const PlanFile& file) {
  Random random(3);
  const auto header = static_cast<int64_t>(header_end(file.bytes));
  const auto size = static_cast<int64_t>(file.bytes.size());
  for (int k = 0; k < 4000; ++k) {
    Bytes changed = file.bytes;
    for (int64_t i = integer(random, 1, 3); i > 0; --i) {
      const int64_t at = integer(random, 0, integer(random, 0, 9) < 8 ? header - 1 : size - 1);
      changed[static_cast<size_t>(at)] = static_cast<unsigned char>(integer(random, 0, 255));
    }
    check_one(changed, file.name + " with other bytes, number " + std::to_string(k));
  }
}

}  // namespace

void check_damage(const PlanFile& file) {
  check_one(file.bytes, file.name);
  if (Loaded(file.bytes).status() != FASTGAN_OK) return fail(file.name + " does not load");
  check_cut(file);
  check_tokens(file);
  check_bytes(file);
}

}  // namespace fastgan::test

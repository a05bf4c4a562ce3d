// What the library refuses, and with which status it says so.
#pragma once

#include <stdexcept>
#include <string>

#include "fastgan.h"

namespace fastgan::c_api {

// Ends a call; what() is the caller's sentence.
class Refusal : public std::runtime_error {
 public:
  Refusal(fastgan_status status, const std::string& sentence)
      : std::runtime_error(sentence), status_(status) {}

  fastgan_status status() const { return status_; }

 private:
  fastgan_status status_;
};

// What is wrong with the bytes of a file, to follow its name: "cannot be read ...".
class BadFile : public Refusal {
 public:
  explicit BadFile(const std::string& sentence) : Refusal(FASTGAN_BAD_FILE, sentence) {}
};

// The file is no safetensors file as format frozen/1 has it.
inline BadFile unreadable(const std::string& why) {
  return BadFile("cannot be read as a frozen generator (" + why + "); export it again");
}

// It is one, but its plan does not hold together.
inline BadFile no_whole_plan(const std::string& why) {
  return BadFile("holds no whole plan (" + why + "); export it again");
}

// A name from a file as a sentence shows it: printable, and not too long.
inline std::string quoted(const std::string& name) {
  constexpr size_t kLongest = 60;
  std::string shown;
  for (const char c : name.substr(0, kLongest)) shown += c >= ' ' && c <= '~' ? c : '?';
  return "'" + shown + (name.size() > kLongest ? "...'" : "'");
}

}  // namespace fastgan::c_api

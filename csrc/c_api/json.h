// A strict reader of JSON: RFC 8259 in valid UTF-8, no duplicate names, limited depth. Small, because files
// of format frozen/1 need little; its own, because the library depends on nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fastgan::c_api {

// Half a sentence: what is wrong, and where.
class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A value. Asking for another kind than it is throws JsonError, which names it by `where`.
class Json {
 public:
  using Members = std::vector<std::pair<std::string, Json>>;

  // The one value of `size` bytes at `text`.
  static Json parse(const char* text, size_t size);

  bool is_null() const { return kind_ == Kind::kNull; }
  bool boolean(const std::string& where) const;
  const std::string& string(const std::string& where) const;
  // An integer from `least` to `most`, written without fraction or exponent.
  int64_t integer(const std::string& where, int64_t least, int64_t most) const;
  // A finite number, rounded correctly, whatever the locale.
  double number(const std::string& where) const;
  const std::vector<Json>& array(const std::string& where) const;
  const Members& object(const std::string& where) const;

 private:
  enum class Kind { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };
  friend class JsonParser;

  Kind kind_ = Kind::kNull;
  std::string text_;  // of a string; a number as it is written
  std::vector<Json> items_;
  Members members_;
};

// The members of an object that must have exactly these names.
class JsonFields {
 public:
  JsonFields(const Json& object, const std::string& where, std::initializer_list<const char*> names);

  const Json& operator[](const char* name) const;
  // Of the member `name`, for error texts.
  std::string where(const char* name) const { return name + (" of " + where_); }

 private:
  const Json::Members& members_;
  std::string where_;
};

}  // namespace fastgan::c_api

// Parsing by recursive descent over a range of bytes that is never left.
#include "c_api/json.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <locale>
#include <sstream>

namespace fastgan::c_api {
namespace {

constexpr int kDeepest = 8;
constexpr size_t kMostMembers = 1 << 13;  // of an object, each of which is compared with all before it

// Bytes of the UTF-8 sequence at `at`, 0 if there is none: RFC 3629, so neither surrogates nor longer forms.
size_t utf8_length(const unsigned char* at, const unsigned char* end) {
  const auto follows = [&](size_t i, unsigned char low, unsigned char high) {
    return at + i < end && at[i] >= low && at[i] <= high;
  };
  const unsigned char lead = at[0];
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return follows(1, 0x80, 0xBF) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool second = follows(1, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF);
    return second && follows(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool second = follows(1, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF);
    return second && follows(2, 0x80, 0xBF) && follows(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

void append_utf8(uint32_t code, std::string& to) {
  if (code < 0x80) {
    to += static_cast<char>(code);
  } else if (code < 0x800) {
    to += static_cast<char>(0xC0 | code >> 6);
    to += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    to += static_cast<char>(0xE0 | code >> 12);
    to += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    to += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    to += static_cast<char>(0xF0 | code >> 18);
    to += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    to += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    to += static_cast<char>(0x80 | (code & 0x3F));
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

class JsonParser {
 public:
  JsonParser(const char* text, size_t size) : begin_(text), at_(text), end_(text + size) {}

  Json whole() {
    Json value = this->value(0);
    skip_space();
    if (at_ != end_) fail("there is more behind the end");
    return value;
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw JsonError(std::string(what) + " at byte " + std::to_string(at_ - begin_));
  }

  // The next byte, 0 at the end; no valid JSON has a byte 0.
  char peek() const { return at_ < end_ ? *at_ : '\0'; }

  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  void skip_space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  Json value(int depth) {
    if (depth > kDeepest) fail("values are nested too deeply");
    skip_space();
    Json value;
    switch (peek()) {
      case '{':
        object(depth, value);
        break;
      case '[':
        array(depth, value);
        break;
      case '"':
        value.kind_ = Json::Kind::kString;
        value.text_ = string();
        break;
      case 'n':
        word("null");
        break;
      case 't':
        word("true");
        value.kind_ = Json::Kind::kTrue;
        break;
      case 'f':
        word("false");
        value.kind_ = Json::Kind::kFalse;
        break;
      default:
        value.kind_ = Json::Kind::kNumber;
        value.text_ = number();
    }
    return value;
  }

  void word(const char* expected) {
    const size_t length = std::strlen(expected);
    if (static_cast<size_t>(end_ - at_) < length || std::memcmp(at_, expected, length) != 0)
      fail("there is no value");
    at_ += length;
  }

  void object(int depth, Json& to) {
    to.kind_ = Json::Kind::kObject;
    ++at_;
    skip_space();
    if (take('}')) return;
    do {
      skip_space();
      if (peek() != '"') fail("a name is missing");
      std::string name = string();
      for (const auto& member : to.members_) {
        if (member.first == name) fail("a name comes twice");
      }
      skip_space();
      if (!take(':')) fail("a ':' is missing");
      if (to.members_.size() == kMostMembers) fail("an object has too many members");
      to.members_.emplace_back(std::move(name), value(depth + 1));
      skip_space();
    } while (take(','));
    if (!take('}')) fail("a '}' is missing");
  }

  void array(int depth, Json& to) {
    to.kind_ = Json::Kind::kArray;
    ++at_;
    skip_space();
    if (take(']')) return;
    do {
      to.items_.push_back(value(depth + 1));
      skip_space();
    } while (take(','));
    if (!take(']')) fail("a ']' is missing");
  }

  std::string string() {
    std::string text;
    for (++at_; !take('"');) {
      if (at_ == end_) fail("a string does not end");
      const auto byte = static_cast<unsigned char>(*at_);
      if (byte < 0x20) fail("a string holds a control character");
      if (byte == '\\') {
        escape(text);
        continue;
      }
      const size_t length = utf8_length(reinterpret_cast<const unsigned char*>(at_),
                                        reinterpret_cast<const unsigned char*>(end_));
      if (length == 0) fail("a string is no UTF-8");
      text.append(at_, length);
      at_ += length;
    }
    return text;
  }

  void escape(std::string& to) {
    static constexpr char kLetters[] = "\"\\/bfnrt", kMeanings[] = "\"\\/\b\f\n\r\t";
    ++at_;
    const char letter = peek();
    if (letter == 'u') {
      append_utf8(code_point(), to);
      return;
    }
    const char* const found = letter == '\0' ? nullptr : std::strchr(kLetters, letter);
    if (found == nullptr) fail("there is no such escape");
    to += kMeanings[found - kLetters];
    ++at_;
  }

  // From the u of an escape on; two escapes where the first is half of a surrogate pair.
  uint32_t code_point() {
    const uint32_t first = hexadecimal();
    if (first < 0xD800 || first > 0xDFFF) return first;
    if (first > 0xDBFF || !take('\\') || peek() != 'u') fail("a surrogate stands alone");
    const uint32_t second = hexadecimal();
    if (second < 0xDC00 || second > 0xDFFF) fail("a surrogate stands alone");
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
  }

  uint32_t hexadecimal() {
    uint32_t code = 0;
    ++at_;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      if (is_digit(c)) {
        code = code * 16 + static_cast<uint32_t>(c - '0');
      } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
        code = code * 16 + static_cast<uint32_t>((c | 0x20) - 'a' + 10);
      } else {
        fail("an escape is no hexadecimal number");
      }
    }
    return code;
  }

  // As it is written.
  std::string number() {
    const char* const begin = at_;
    take('-');
    if (!is_digit(peek())) fail("there is no value");
    if (!take('0')) digits();
    if (take('.')) digits();
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      digits();
    }
    return std::string(begin, at_);
  }

  void digits() {
    if (!is_digit(peek())) fail("a digit is missing");
    while (is_digit(peek())) ++at_;
  }

  const char *begin_, *at_, *end_;
};

Json Json::parse(const char* text, size_t size) { return JsonParser(text, size).whole(); }

bool Json::boolean(const std::string& where) const {
  if (kind_ != Kind::kTrue && kind_ != Kind::kFalse) throw JsonError(where + " is neither true nor false");
  return kind_ == Kind::kTrue;
}

const std::string& Json::string(const std::string& where) const {
  if (kind_ != Kind::kString) throw JsonError(where + " is no string");
  return text_;
}

int64_t Json::integer(const std::string& where, int64_t least, int64_t most) const {
  if (kind_ != Kind::kNumber || text_.find_first_of(".eE") != std::string::npos)
    throw JsonError(where + " is no integer");
  const bool negative = text_[0] == '-';
  int64_t value = 0;
  for (size_t i = negative ? 1 : 0; i < text_.size(); ++i) {
    const int digit = text_[i] - '0';
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, digit, &value))
      throw JsonError(where + " is out of range");
  }
  // Collected below zero, where there is one number more.
  if (!negative && __builtin_sub_overflow(int64_t{0}, value, &value))
    throw JsonError(where + " is out of range");
  if (value < least || value > most) throw JsonError(where + " is out of range");
  return value;
}

double Json::number(const std::string& where) const {
  if (kind_ != Kind::kNumber) throw JsonError(where + " is no number");
  std::istringstream stream(text_);
  stream.imbue(std::locale::classic());
  stream.exceptions(std::ios::badbit);  // no memory is not a bad number
  double value = 0;
  stream >> value;
  if (!std::isfinite(value) || stream.fail()) throw JsonError(where + " is out of range");
  return value;
}

const std::vector<Json>& Json::array(const std::string& where) const {
  if (kind_ != Kind::kArray) throw JsonError(where + " is no array");
  return items_;
}

const Json::Members& Json::object(const std::string& where) const {
  if (kind_ != Kind::kObject) throw JsonError(where + " is no object");
  return members_;
}

JsonFields::JsonFields(const Json& object, const std::string& where, std::initializer_list<const char*> names)
    : members_(object.object(where)), where_(where) {
  for (const char* name : names) {
    const auto is = [name](const auto& member) { return member.first == name; };
    if (std::none_of(members_.begin(), members_.end(), is)) throw JsonError(where + " has no " + name);
  }
  if (members_.size() != names.size()) throw JsonError(where + " has a field too many");
}

const Json& JsonFields::operator[](const char* name) const {
  return std::find_if(members_.begin(), members_.end(),
                      [name](const auto& member) { return member.first == name; })
      ->second;
}

}  // namespace fastgan::c_api

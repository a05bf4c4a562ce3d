// Field by field from JSON to the numbers of a program, as encode() of the reference writes them.
#include "c_api/frozen_file.h"

#include <set>
#include <string>

#include "c_api/json.h"
#include "c_api/refusal.h"
#include "common/affine_act.h"
#include "cpu/frozen_program.h"

namespace fastgan::c_api {
namespace {

using cpu::FrozenStepKind;
using Numbers = std::vector<int64_t>;

constexpr const char* kFormat = "frozen/1";
constexpr int64_t kMost = INT32_MAX;  // of anything that a plan counts

bool is_one_of(const std::string& text, std::initializer_list<const char*> choices) {
  for (const char* choice : choices) {
    if (text == choice) return true;
  }
  return false;
}

Numbers integers(const Json& json, const std::string& where, int64_t least) {
  Numbers numbers;
  for (const Json& each : json.array(where)) numbers.push_back(each.integer(where, least, kMost));
  return numbers;
}

int64_t product(const Numbers& sizes, const std::string& where) {
  int64_t size = 1;
  for (const int64_t factor : sizes) {
    size *= factor;
    if (size > cpu::kLargestRow) throw JsonError(where + " is out of range");
  }
  return size;
}

class PlanReader {
 public:
  PlanReader(const Safetensors& file, FrozenFile& to) : file_(file), to_(to) {}

  void step(const Json& json, const std::string& where) {
    where_ = where;
    numbers_.clear();
    slope_ = 1.0;
    const std::string kind = kind_of(json);
    if (kind == "convolution") {
      convolution(json);
    } else if (kind == "affine") {
      affine(json);
    } else if (kind == "activation") {
      activation(json);
    } else if (kind == "permutation") {
      permutation(json);
    } else {
      throw JsonError(where_ + " is of kind " + quoted(kind));
    }
    numbers_.resize(cpu::kFrozenStepWidth, 0);
    to_.steps.insert(to_.steps.end(), numbers_.begin(), numbers_.end());
    to_.slopes.push_back(slope_);
  }

  void finish() const {
    if (to_.tensors.size() != file_.tensors.size()) throw JsonError("a tensor belongs to no step");
  }

 private:
  std::string kind_of(const Json& json) const {
    for (const auto& member : json.object(where_)) {
      if (member.first == "kind") return member.second.string("kind of " + where_);
    }
    throw JsonError(where_ + " has no kind");
  }

  void begin(FrozenStepKind kind) { numbers_.push_back(static_cast<int64_t>(kind)); }

  void integer(const JsonFields& fields, const char* name, int64_t least) {
    numbers_.push_back(fields[name].integer(fields.where(name), least, kMost));
  }

  void sizes(const JsonFields& fields, const char* name, size_t count, int64_t least) {
    const Numbers values = integers(fields[name], fields.where(name), least);
    if (values.size() != count)
      throw JsonError(fields.where(name) + " are not " + std::to_string(count) + " numbers");
    numbers_.insert(numbers_.end(), values.begin(), values.end());
  }

  // The place of the tensor that a field names; it gets one with this.
  void tensor(const JsonFields& fields, const char* name, size_t rank, bool is_index) {
    const std::string& key = fields[name].string(fields.where(name));
    const auto found = file_.tensors.find(key);
    if (found == file_.tensors.end()) throw JsonError(where_ + " refers to no tensor " + quoted(key));
    if (!used_.insert(key).second) throw JsonError("tensor " + quoted(key) + " is used twice");
    const StoredTensor& tensor = found->second;
    if (tensor.is_index != is_index) throw JsonError("tensor " + quoted(key) + " has another dtype");
    if (tensor.shape.size() != rank)
      throw JsonError("tensor " + quoted(key) + " has not " + std::to_string(rank) + " dimensions");
    numbers_.push_back(static_cast<int64_t>(to_.tensors.size()));
    to_.tensors.push_back(&tensor);
  }

  void convolution(const Json& json) {
    const JsonFields fields(
        json, where_,
        {"kind", "weight", "bias", "source", "result", "kernel", "stride", "padding", "transposed"});
    begin(FrozenStepKind::kConvolution);
    tensor(fields, "weight", 4, false);
    if (fields["bias"].is_null()) {
      numbers_.push_back(-1);
    } else {
      tensor(fields, "bias", 1, false);
    }
    sizes(fields, "source", 3, 1);
    sizes(fields, "result", 3, 1);
    sizes(fields, "kernel", 2, 1);
    sizes(fields, "stride", 2, 1);
    sizes(fields, "padding", 2, 0);
    numbers_.push_back(fields["transposed"].boolean(fields.where("transposed")) ? 1 : 0);
  }

  void affine(const Json& json) {
    const JsonFields fields(json, where_, {"kind", "scale", "shift", "channels", "classes"});
    begin(FrozenStepKind::kAffine);
    tensor(fields, "scale", 2, false);
    tensor(fields, "shift", 2, false);
    integer(fields, "channels", 1);
    integer(fields, "classes", 0);
    for (const StoredTensor* table : {to_.tensors.end()[-2], to_.tensors.end()[-1]}) {
      if (table->shape[1] != numbers_[3]) throw JsonError(where_ + " has a table of other channels");
    }
  }

  void activation(const Json& json) {
    const JsonFields fields(json, where_, {"kind", "activation", "negative_slope"});
    begin(FrozenStepKind::kActivation);
    const std::string& name = fields["activation"].string(fields.where("activation"));
    if (name == "leaky_relu") {
      numbers_.push_back(static_cast<int64_t>(Activation::kLeakyRelu));
    } else if (name == "relu") {
      numbers_.push_back(static_cast<int64_t>(Activation::kRelu));
    } else if (name == "tanh") {
      numbers_.push_back(static_cast<int64_t>(Activation::kTanh));
    } else {
      throw JsonError(where_ + " has activation " + quoted(name));
    }
    slope_ = fields["negative_slope"].number(fields.where("negative_slope"));
  }

  void permutation(const Json& json) {
    const JsonFields fields(json, where_, {"kind", "index", "size"});
    begin(FrozenStepKind::kPermutation);
    tensor(fields, "index", 1, true);
    integer(fields, "size", 1);
    if (to_.tensors.back()->count != numbers_[2]) throw JsonError(where_ + " has an index of another size");
  }

  const Safetensors& file_;
  FrozenFile& to_;
  std::set<std::string> used_;
  std::string where_;
  Numbers numbers_;
  double slope_ = 1.0;
};

// Before anything else, since another format may have other fields.
void check_format(const Json& plan) {
  std::string found;
  for (const auto& member : plan.object("the plan")) {
    if (member.first == "format") found = member.second.string("format of the plan");
  }
  if (found != kFormat)
    throw BadFile("has format " + quoted(found) + ", this version of fastgan reads '" + kFormat + "'");
}

FrozenFile read_plan(const Json& plan, const Safetensors& file) {
  check_format(plan);
  const JsonFields fields(plan, "the plan",
                          {"format", "fastgan", "input_shape", "image", "num_classes", "output",
                           "batch_invariant", "precision", "steps"});
  fields["fastgan"].string(fields.where("fastgan"));
  fields["batch_invariant"].boolean(fields.where("batch_invariant"));

  FrozenFile to{};
  const Numbers input = integers(fields["input_shape"], fields.where("input_shape"), 1);
  const Numbers image = integers(fields["image"], fields.where("image"), 1);
  if (input.size() != 1 && input.size() != 3) throw JsonError("input_shape is neither [F] nor [C, H, W]");
  if (image.size() != 1 && image.size() != 3) throw JsonError("image is neither [F] nor [C, H, W]");
  to.latent_size = product(input, fields.where("input_shape"));
  product(image, fields.where("image"));
  to.is_vector = image.size() == 1;
  for (size_t i = 0; i < 3; ++i) to.image[i] = i < image.size() ? image[i] : 1;
  to.classes = fields["num_classes"].integer(fields.where("num_classes"), 0, kMost);

  const std::string& output = fields["output"].string(fields.where("output"));
  if (!is_one_of(output, {"float", "uint8"})) throw JsonError("output is " + quoted(output));
  if (output == "uint8" && to.is_vector) throw JsonError("output is 'uint8' for a vector");
  const std::string& precision = fields["precision"].string(fields.where("precision"));
  if (!is_one_of(precision, {"fp32", "tf32", "bf16", "fp16"}))
    throw JsonError("precision is " + quoted(precision));
  // "tf32" allows a GPU to round; the CPU computes float32 then too.
  if (!is_one_of(precision, {"fp32", "tf32"})) {
    throw Refusal(FASTGAN_UNSUPPORTED,
                  "has precision " + precision + ", this library computes fp32; export it with that");
  }

  PlanReader reader(file, to);
  size_t number = 0;
  for (const Json& step : fields["steps"].array(fields.where("steps")))
    reader.step(step, "step " + std::to_string(number++));
  reader.finish();
  return to;
}

}  // namespace

FrozenFile read_frozen_file(const Safetensors& file) {
  try {
    return read_plan(Json::parse(file.plan.data(), file.plan.size()), file);
  } catch (const JsonError& error) {
    throw no_whole_plan(error.what());
  }
}

}  // namespace fastgan::c_api

// Every public entry of csrc/cpu against definitions in double, on guarded memory; needs neither Python nor
// torch.
#include <cstdio>
#include <stdexcept>
#include <string>

#include "checks.h"
#include "cpu/capability.h"
#include "guarded_memory.h"
#include "report.h"
#include "runs.h"

namespace {

using namespace fastgan::test;

constexpr const char* kHelp =
    "usage: cpu_program [--quick] [--only CHECK] [--capability NAME] [--fault] [--help]\n"
    "\n"
    "Runs the CPU kernels of fastgan on guarded memory and compares them with their definitions.\n"
    "  --quick            a selection of the cases, for slow machines\n"
    "  --only CHECK       convolutions, image_independence, affine_act, channel_statistics, gan_loss,\n"
    "                     frozen_generator or noise\n"
    "  --capability NAME  one of this machine's, instead of each in turn\n"
    "  --fault            reads behind a tensor, to see that this fails\n"
    "Prints a line for each failure and a summary; exits with 0 if all is right, 1 if not, 2 for a wrong "
    "option.\n";

struct Check {
  const char* name;
  void (*run)(bool thorough);
};

constexpr Check kChecks[] = {{"convolutions", check_convolutions},
                             {"image_independence", check_image_independence},
                             {"affine_act", check_affine_act},
                             {"channel_statistics", check_channel_statistics},
                             {"gan_loss", check_gan_loss},
                             {"frozen_generator", check_frozen_generator},
                             {"noise", check_noise}};

int wrong_option(const std::string& what) {
  std::fprintf(stderr, "cpu_program: %s\n%s", what.c_str(), kHelp);
  return 2;
}

void fault() {
  report().begin_case("fault");
  const GuardedMemory memory("a tensor of 3 bytes", 3, Guard::kAfter);
  const auto* const bytes = static_cast<const volatile unsigned char*>(memory.data());
  report().fail(text("the guard page was read: %d", bytes[3]));
}

int run(int count, char** values) {
  bool thorough = true;
  std::string only;
  for (int i = 1; i < count; ++i) {
    const std::string option = values[i];
    if (option == "--help") return std::fputs(kHelp, stdout), 0;
    if (option == "--quick") {
      thorough = false;
    } else if (option == "--fault") {
      report_faults();
      fault();
    } else if (option == "--only" && i + 1 < count) {
      only = values[++i];
    } else if (option == "--capability" && i + 1 < count) {
      fastgan::cpu::force(values[++i]);
      capabilities() = {values[i]};
    } else {
      return wrong_option("unknown option, or one without its value: " + option);
    }
  }
  report_faults();
  bool known = only.empty();
  for (const Check& check : kChecks) {
    if (!only.empty() && only != check.name) continue;
    known = true;
    check.run(thorough);
  }
  if (!known) return wrong_option("there is no check " + only);
  std::string names;
  for (const std::string& name : capabilities()) names += (names.empty() ? "" : ", ") + name;
  const Report& result = report();
  std::printf("%s: %lld cases, %lld runs (%s), %lld failures\n", result.failures() == 0 ? "ok" : "FAILED",
              static_cast<long long>(result.cases()), static_cast<long long>(result.runs()), names.c_str(),
              static_cast<long long>(result.failures()));
  return result.failures() == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** values) {
  try {
    return run(count, values);
  } catch (const std::invalid_argument& error) {
    return wrong_option(error.what());
  }
}

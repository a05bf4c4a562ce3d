// Guarded memory by mmap and mprotect, and the handler that says whose guard page was touched.
#include "guarded_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "report.h"

namespace fastgan::test {
namespace {

constexpr unsigned char kMargin = 0xa5;

size_t page_size() {
  static const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// All guarded memory there is, for the handler: a list, since a handler may not allocate.
GuardedMemory* newest = nullptr;
std::mutex list_mutex;

struct sigaction previous_action[2];

void on_fault(int signal, siginfo_t* info, void*) {
  explain_fault(info->si_addr);
  const struct sigaction& previous = previous_action[signal == SIGBUS];
  // A sanitizer's handler goes on with its own report: the instruction faults again under it.
  if (previous.sa_handler == SIG_DFL) _exit(1);
  sigaction(signal, &previous, nullptr);
}

}  // namespace

GuardedMemory::GuardedMemory(const char* name, size_t bytes, Guard guard) : name_(name), bytes_(bytes) {
  const size_t page = page_size();
  mapped_ = (bytes + page - 1) / page * page;
  void* const memory =
      mmap(nullptr, mapped_ + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || (mapped_ > 0 && mprotect(static_cast<unsigned char*>(memory) + page, mapped_,
                                                       PROT_READ | PROT_WRITE))) {
    std::perror("guarded memory");
    std::exit(2);
  }
  pages_ = static_cast<unsigned char*>(memory) + page;
  data_ = guard == Guard::kAfter ? pages_ + mapped_ - bytes : pages_;
  if (mapped_ > 0) std::memset(pages_, kMargin, mapped_);
  const std::lock_guard<std::mutex> lock(list_mutex);
  previous_ = nullptr;
  next_ = newest;
  if (newest != nullptr) newest->previous_ = this;
  newest = this;
}

GuardedMemory::~GuardedMemory() {
  {
    const std::lock_guard<std::mutex> lock(list_mutex);
    (previous_ == nullptr ? newest : previous_->next_) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
  }
  munmap(pages_ - page_size(), mapped_ + 2 * page_size());
}

bool GuardedMemory::margin_is_whole() const {
  for (const unsigned char* at = pages_; at < pages_ + mapped_; ++at) {
    if (at == data_) at += bytes_;
    if (at < pages_ + mapped_ && *at != kMargin) return false;
  }
  return true;
}

void explain_fault(const void* address) {
  const auto* const at = static_cast<const unsigned char*>(address);
  const char *name = "no tensor's guard page", *where = "at";
  long distance = 0;
  for (const GuardedMemory* each = newest; each != nullptr; each = each->next_) {
    if (at >= each->pages_ - page_size() && at < each->data_) {
      name = each->name_, where = "before", distance = each->data_ - at;
    } else if (at >= each->data_ + each->bytes_ && at < each->pages_ + each->mapped_ + page_size()) {
      name = each->name_, where = "after the end of", distance = at - (each->data_ + each->bytes_);
    }
  }
  char line[640];
  const int length = std::snprintf(line, sizeof line, "FAIL %s: touched memory %ld bytes %s %s\n",
                                   report().where(), distance, where, name);
  if (write(STDERR_FILENO, line, static_cast<size_t>(length)) != length) _exit(1);
}

void report_faults() {
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &previous_action[0]);
  sigaction(SIGBUS, &action, &previous_action[1]);
}

}  // namespace fastgan::test

// Meetings of lanes.
#include "warp.h"

#include <algorithm>
#include <string>

#include "block.h"

namespace fastgan::cuda_host {

void Warp::begin(uint32_t lanes) {
  live_ = lanes;
  meetings_.clear();
}

Meeting& Warp::meet(uint32_t mask, const Gift& gift, void (*finish)(Meeting&), const Place& place) {
  const unsigned lane = block().current().lane;
  if ((mask >> lane & 1) == 0) fail(text(place) + ": the mask leaves out the lane that calls");
  auto found =
      std::find_if(meetings_.begin(), meetings_.end(), [&](const Meeting& m) { return m.mask == mask; });
  if (found == meetings_.end()) {
    meetings_.emplace_back();
    found = std::prev(meetings_.end());
    found->mask = mask;
  }
  Meeting& meeting = *found;
  if (meeting.arrived == 0) {
    meeting.place = place;
    meeting.finish = finish;
  } else if (meeting.place != place) {
    fail("lanes of a warp diverge: " + text(place) + ", others are in " + text(meeting.place));
  }
  meeting.given[lane] = gift;
  meeting.arrived |= 1u << lane;
  const uint64_t turn = meeting.turn;
  try_finish(meeting);
  if (meeting.turn == turn) block().wait(meeting.turn, place);
  return meeting;
}

void Warp::exit(unsigned lane) {
  live_ &= ~(1u << lane);
  for (Meeting& meeting : meetings_) {
    if (meeting.arrived != 0) try_finish(meeting);
  }
}

void Warp::try_finish(Meeting& meeting) {
  if (meeting.arrived != (meeting.mask & live_)) return;
  meeting.took_part = meeting.arrived;
  std::copy(std::begin(meeting.given), std::end(meeting.given), std::begin(meeting.results));
  if (meeting.finish != nullptr) meeting.finish(meeting);
  meeting.arrived = 0;
  ++meeting.turn;
}

}  // namespace fastgan::cuda_host

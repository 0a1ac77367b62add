// A channel as the RawStream of net/http.h.
#pragma once

#include <memory>
#include <string>

#include "net/channel.h"
#include "net/http.h"

namespace skiff::net {

// Takes an open channel over; `early` is what was already read from it. Loop thread.
std::unique_ptr<RawStream> make_raw_stream(std::shared_ptr<Channel> channel, std::string early);

}   // namespace skiff::net

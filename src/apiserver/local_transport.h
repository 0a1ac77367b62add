// The client's transport inside the server's process: enters the pipeline after authentication,
// so that authorization and admission hold for it too, and shares the stored bytes.
#pragma once

#include <memory>

#include "apiserver/user.h"
#include "client/transport.h"

namespace skiff::apiserver {

class ApiServer;
std::unique_ptr<client::Transport> make_local_transport(ApiServer& server, User user);

}   // namespace skiff::apiserver

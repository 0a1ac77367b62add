// What a single controller is made of: its own transport and client, a queue, and the executor of
// its plans.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "client/client.h"
#include "client/plan.h"
#include "client/work_queue.h"
#include "controllers/controllers.h"

namespace skiff::controllers {

struct Component {
    Component(Executor& executor, const ControllersOptions& options, std::string_view name)
        : transport{options.transport_as(std::string{"system:serviceaccount:kube-system:"} +
                                         std::string{name})},
          client{executor, *transport, std::string{name}},
          plans{client} {}

    std::unique_ptr<client::Transport> transport;
    client::Client client;
    client::PlanExecutor plans;
};

}   // namespace skiff::controllers

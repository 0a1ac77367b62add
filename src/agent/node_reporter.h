// Tells the API about the node: registers it, renews its lease, reports its status when something
// changed and every five minutes.
#pragma once

#include <functional>
#include <memory>

#include "agent/cri.h"
#include "agent/node_status.h"
#include "client/client.h"

namespace skiff::agent {

struct ReporterParts {
    client::Client& client;
    Cri& cri;
    std::string root;
    NodeIdentity identity;
    // The node and its addresses are in the API: called after the first report.
    std::function<void()> reported;
};

class NodeReporter {
  public:
    explicit NodeReporter(ReporterParts parts);
    ~NodeReporter();
    void start();
    void look_again();   // the runtime came back or went: report soon. Any thread

  private:
    class Core;
    std::shared_ptr<Core> core_;
};

}   // namespace skiff::agent

// The ingress controller: watches ingresses and what they name, drives nginx, tells in events what
// cannot be served, and writes into the status where requests come in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/random.h"
#include "client/transport.h"
#include "ingress/model.h"
#include "ingress/nginx.h"
#include "net/loop.h"

namespace skiff::ingress {

struct ControllerOptions {
    ModelOptions model;
    ConfOptions conf;
    NginxOptions nginx;
    std::string component = "nginx-ingress-controller";   // who tells the events
    std::string host;
    std::string address;   // what the status says; "" for nothing
    // The node whose ports these are: nginx runs while there is an ingress of ours, on those of
    // them that nobody has; while a pod of the node claims one, ports and ingresses are left to
    // it. "" for a controller that has its ports to itself and serves from the start.
    std::string node;
    std::string state_file;    // a line for people: what is served where. "" for none
    bool newer_kinds = true;   // endpoint slices, classes and secrets may be read
    // Makes the class of this controller, once in the life of the folder.
    bool makes_class = false;
};

class Controller {
  public:
    // Everything it is given outlives it, but for what an event or a status still needs.
    Controller(ControllerOptions options, Executor& executor, Random& random, net::Loop& loop,
               client::Transport& transport);
    ~Controller();
    void start();
    bool healthy() const;   // nginx runs, or has a reason not to

    // Blocks until no request goes or is under way to that pod's endpoints, for lack of a better
    // one at most, or the time is over. Any thread.
    void wait_until_dropped(const std::string& pod_uid, Duration timeout);
    // Before its nginx is ended by others: nobody shall wait for it in vain. Blocks.
    void let_go_of_ports();

  private:
    class Core;
    std::unique_ptr<Core> core_;
};

}   // namespace skiff::ingress

// From ingresses and what they name to what nginx is to serve: servers by host, locations by path,
// upstreams by service port. Pure. What cannot be served is a problem of its ingress alone.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/object_key.h"
#include "ingress/balancer.h"
#include "ingress/service_endpoints.h"
#include "ingress/settings.h"

namespace skiff::ingress {

template <class V>
using Snapshot = std::vector<std::shared_ptr<const V>>;

struct Observed {
    Snapshot<view::Ingress> ingresses;
    Snapshot<view::IngressClass> classes;
    Snapshot<view::Service> services;
    Snapshot<view::EndpointSlice> slices;
    Snapshot<view::Secret> secrets;
    std::set<client::ObjectKey> left_out;   // ingresses whose configuration nginx did not take
};

struct ModelOptions {
    std::string class_name = "nginx";
    std::string controller = "k8s.io/ingress-nginx";
    bool without_class = false;    // ingresses that name no class are ours too
    std::string default_backend;   // "namespace/service"; "" for the built-in 404
    bool secrets = true;           // whether they can be read at all
};

enum class Match : uint8_t { Exact, Prefix, Regex };

struct Location {
    Match match = Match::Prefix;
    std::string path;
    std::string upstream;    // a key of Model::upstreams. "": nothing answers, 503
    bool built_in = false;   // the 404 of nobody
    Settings settings;
    client::ObjectKey owner;
};

struct Server {
    std::string host;   // "" for all others
    std::vector<Location> locations;
    Location fallback;
    bool tls = false;
    std::string certificate;   // a key of Model::certificates; "" for the controller's own
};

struct IngressProblem {
    std::shared_ptr<const view::Ingress> ingress;
    Problem problem;
};

struct Model {
    std::vector<Server> servers;   // the one without a host first
    Endpoints upstreams;
    std::map<client::ObjectKey, PodServers> pods;   // by service
    // All that were looked for, with the ports that are upstreams.
    std::map<client::ObjectKey, std::vector<ServicePort>> services;
    std::map<std::string, std::string> certificates;   // "namespace_secret" to PEM, key and chain
    std::vector<IngressProblem> problems;
    Snapshot<view::Ingress> served;   // those of our class
};

// Whether the pairs of secrets can be used: each is tried once for as long as it is the same.
class TriedPairs {
  public:
    // "" or what is wrong.
    const std::string& problem_of(const std::shared_ptr<const view::Secret>& secret);
    void keep(const Snapshot<view::Secret>& secrets);   // and forgets all others

  private:
    struct Tried {
        std::shared_ptr<const view::Secret> secret;   // held, so that its address is no other's
        std::string problem;
    };
    std::map<const view::Secret*, Tried> tried_;
};

Model model_of(const Observed& observed, const ModelOptions& options, TriedPairs& pairs);

}   // namespace skiff::ingress

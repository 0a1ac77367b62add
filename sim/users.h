// What people do with the cluster while it is tried: pods, namespaces with pods in them, config
// maps, nodes that become larger and smaller, deployments that are scaled, updated and taken back,
// claims for volumes.
#pragma once

#include <string>
#include <vector>

#include "client/client.h"
#include "sim/cluster.h"

namespace skiff::sim {

// What they are about: everything, or nothing but claims and the volumes that these race for.
enum class Topic { Everything, Claims };

class Users {
  public:
    Users(Cluster& cluster, int nodes, Topic topic = Topic::Everything);
    ~Users();
    void begin(int deeds, Duration longest_pause);
    bool done() const { return left_ == 0; }
    std::string node(int index) const { return "node-" + std::to_string(index); }

  private:
    void act();
    void deed();
    void make_pod(const std::string& name_space);
    void replace_pod();
    void bind_again();
    void make_namespace();
    std::string some_key(const std::string& prefix);
    void change_config(const std::string& name_space);
    void resize();
    void remove(std::string_view plural, const std::string& prefix, bool of_namespaces);
    std::string some_namespace();
    void make_deployment(const std::string& name_space);
    void change_deployment();
    void remove_deployment();
    void make_volume();
    void make_claims();
    void reuse_volume();
    void hand_volume_over();
    void race();

    Cluster& cluster_;
    World& world_;
    const int nodes_;
    const Topic topic_;
    Process process_;
    FaultTransport transport_;
    client::Client client_;
    int left_ = 0;
    const bool about_volumes_;   // most of what they do
    Duration longest_pause_{};
    int made_ = 0;
};

}   // namespace skiff::sim

#include "agent/node_reporter.h"

#include <algorithm>
#include <utility>

#include "agent/lease.h"
#include "base/log.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

constexpr Duration report_period = 5min;
constexpr Duration retry_first = 100ms;
constexpr Duration retry_most = 5s;
constexpr client::ResourceName nodes{"", "v1", "nodes"};
constexpr client::ResourceName leases{"coordination.k8s.io", "v1", "leases"};

}   // namespace

class NodeReporter::Core : public std::enable_shared_from_this<Core> {
  public:
    explicit Core(ReporterParts parts)
        : parts_{std::move(parts)}, client_{parts_.client}, strand_{client_.executor()} {}

    void post(void (Core::*step)()) {
        strand_.post([self = weak_from_this(), step] {
            if (const auto core = self.lock()) (core.get()->*step)();
        });
    }
    void after(Duration delay, void (Core::*step)()) {
        strand_.after(delay, [self = weak_from_this(), step] {
            if (const auto core = self.lock()) (core.get()->*step)();
        });
    }

    void begin() {
        if (!make_node()) {
            after(retry_, &Core::begin);
            retry_ = std::min(retry_ * 2, retry_most);
            return;
        }
        retry_ = retry_first;
        report();
        turn();
    }

    // The heartbeat, and with it everything that is looked at now and then.
    void turn() {
        after(lease_renewal, &Core::turn);
        renew();
        look();
    }

    void look() {
        const auto health = ask_health();
        const bool due = now() - reported_ >= report_period;
        if (due || health.runtime_ready != health_.runtime_ready ||
            health.problem != health_.problem || !clean_ || images_changed()) {
            report();
        }
        // A runtime that is starting is seen soon.
        if (!health_.runtime_ready && !std::exchange(looking_, true)) after(1s, &Core::look_soon);
    }
    void look_soon() {
        looking_ = false;
        look();
    }

  private:
    WallTime now() { return client_.executor().clock().now(); }

    bool make_node() {
        auto made = client_.create_text(nodes, "", node_object(parts_.identity));
        if (!made && made.error().reason == Reason::AlreadyExists) {
            made = client_.get_text(nodes, {"", parts_.identity.name});
        }
        if (!made) {
            log_warn("node not registered", {{"error", made.error().message}});
            return false;
        }
        if (const auto object = codec::parse_json(*made))
            uid_ = object->root.text_at({"metadata", "uid"});
        return true;
    }

    NodeHealth ask_health() {
        const auto status = parts_.cri.status();
        if (!status) return {false, concat("container runtime is down: ", status.error().message)};
        NodeHealth health;
        for (const auto& condition : status->status.conditions) {
            if (condition.status) continue;
            health.runtime_ready = false;
            append(health.problem, health.problem.empty() ? "" : ", ",
                   condition.type == "NetworkReady" ? "container runtime network not ready: "
                                                    : "container runtime not ready: ",
                   condition.type, "=false reason:", condition.reason,
                   " message:", condition.message);
        }
        return health;
    }

    // Images come and go without us: an import, the runtime's own commands.
    bool images_changed() {
        const auto images = parts_.cri.list_images();
        return images && names_of(*images) != image_names_;
    }
    static std::vector<std::string> names_of(const std::vector<cri::Image>& images) {
        std::vector<std::string> names;
        for (const auto& image : images) {
            names.insert(names.end(), image.repo_tags.begin(), image.repo_tags.end());
            names.push_back(image.id);
        }
        std::ranges::sort(names);
        return names;
    }

    void report() {
        health_ = ask_health();
        auto machine = read_machine(parts_.root);
        if (const auto version = parts_.cri.version()) {
            machine.runtime =
                concat(version->runtime_name, "://",
                       version->runtime_version.substr(0, version->runtime_version.find('~')));
        }
        const auto images = parts_.cri.list_images();
        if (images) image_names_ = names_of(*images);
        const auto patch =
            node_status_patch(parts_.identity, machine, health_,
                              images ? *images : std::vector<cri::Image>{}, memory_, now());
        const auto done = client_.patch_text(nodes, {"", parts_.identity.name},
                                             client::PatchType::StrategicMerge, patch, "status");
        clean_ = done.has_value();
        if (done) {
            if (reported_ == WallTime{}) parts_.reported();
            reported_ = now();
            return;
        }
        log_warn("node status not written", {{"error", done.error().message}});
        if (done.error().reason == Reason::NotFound) make_node();   // somebody deleted it
        if (!std::exchange(looking_, true)) after(1s, &Core::look_soon);
    }

    void renew() {
        const client::ObjectKey key{std::string{lease_namespace}, parts_.identity.name};
        auto done =
            client_.patch_text(leases, key, client::PatchType::Merge, lease_renewal_patch(now()));
        if (!done && done.error().reason == Reason::NotFound) {
            done = client_.create_text(leases, lease_namespace,
                                       lease_object(parts_.identity.name, uid_, now()));
        }
        if (!done) log_warn("lease not renewed", {{"error", done.error().message}});
    }

    ReporterParts parts_;
    client::Client& client_;
    std::string uid_;
    NodeHealth health_;
    std::vector<std::string> image_names_;
    NodeMemory memory_;
    WallTime reported_{};
    bool clean_ = false;
    bool looking_ = false;
    Duration retry_ = retry_first;
    Strand strand_;
};

NodeReporter::NodeReporter(ReporterParts parts) : core_{std::make_shared<Core>(std::move(parts))} {}
NodeReporter::~NodeReporter() = default;
void NodeReporter::start() { core_->post(&Core::begin); }
void NodeReporter::look_again() { core_->post(&Core::look); }

}   // namespace skiff::agent

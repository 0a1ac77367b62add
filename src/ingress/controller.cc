#include "ingress/controller.h"

#include <algorithm>
#include <atomic>
#include <set>

#include "base/log.h"
#include "base/text.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "net/tls.h"

namespace skiff::ingress {
namespace {

using namespace std::chrono_literals;
using client::ObjectKey;

constexpr Duration batch = 50ms;         // changes that come together are one change
constexpr Duration reload_gap = 300ms;   // between two reloads, should changes go on and on
constexpr Duration retry = 1s;
constexpr Duration kinds_wait = 3s;   // for what need not be readable
constexpr auto own_certificate_life = std::chrono::hours{24 * 3650};

template <class V>
ObjectKey key_of(const V& object) {
    return {.name_space = object.metadata.namespace_.str(), .name = object.metadata.name};
}

// A slice that says what the older form says.
std::shared_ptr<const view::EndpointSlice> slice_of(const view::Endpoints& endpoints,
                                                    const view::Endpoints::EndpointSubset& subset) {
    auto slice = std::make_shared<view::EndpointSlice>();
    slice->metadata.namespace_ = endpoints.metadata.namespace_;
    slice->metadata.labels["kubernetes.io/service-name"] = endpoints.metadata.name;
    slice->addressType = "IPv4";
    for (const auto& address : subset.addresses)
        slice->endpoints.push_back({.addresses = {std::string{address.ip}}, .conditions = {}});
    for (const auto& port : subset.ports)
        slice->ports.push_back(
            {.name = std::string{port.name}, .port = port.port, .protocol = port.protocol});
    return slice;
}

bool claims_ports(const view::Pod& pod) {
    if (pod.status.phase == "Succeeded" || pod.status.phase == "Failed") return false;
    for (const auto& container : pod.spec.containers)
        for (const auto& port : container.ports)
            if ((port.hostPort == 80 || port.hostPort == 443) &&
                (port.protocol.empty() || port.protocol == "TCP"))
                return true;
    return false;
}

template <class V>
using MaybeInformer = std::unique_ptr<client::Informer<V>>;

}   // namespace

class Controller::Core {
  public:
    Core(ControllerOptions options, Executor& executor, Random& random, net::Loop& loop,
         client::Transport& transport)
        : options_{std::move(options)},
          executor_{executor},
          client_{executor, transport, options_.component},
          events_{executor, transport, {.component = options_.component, .host = options_.host}},
          strand_{executor},
          nginx_{options_.nginx, executor, loop, [this] { schedule(Duration::zero()); }},
          ingresses_{executor, random, transport} {
        make<view::Service>(services_, random, transport);
        if (options_.newer_kinds) {
            make<view::EndpointSlice>(slices_, random, transport);
            make<view::IngressClass>(classes_, random, transport);
            make<view::Secret>(
                secrets_, random, transport,
                {.name_space = {},
                 .query = {.label_selector = {}, .field_selector = "type=kubernetes.io/tls"}});
        } else {
            make<view::Endpoints>(endpoints_, random, transport);
        }
        if (!options_.gives_way_on.empty())
            make<view::Pod>(
                pods_, random, transport,
                {.name_space = {},
                 .query = {.label_selector = {},
                           .field_selector = concat("spec.nodeName=", options_.gives_way_on)}});
        ingresses_.on_change([this](const auto&, const auto&) { schedule(batch); });
        ingresses_.on_synced([this] { schedule(Duration::zero()); });
    }

    ~Core() {
        ingresses_.stop();
        services_.reset();
        slices_.reset();
        endpoints_.reset();
        classes_.reset();
        secrets_.reset();
        pods_.reset();
        strand_.close();
    }

    void start() {
        started_ = executor_.clock().monotonic();
        ingresses_.start();
        for (const auto& begin : starts_) begin();
        strand_.after(kinds_wait, [this] { schedule(Duration::zero()); });
    }

    bool healthy() const { return healthy_; }

  private:
    template <class V>
    void make(MaybeInformer<V>& informer, Random& random, client::Transport& transport,
              client::InformerOptions options = {}) {
        informer = std::make_unique<client::Informer<V>>(executor_, random, transport, options);
        informer->on_change([this](const auto&, const auto&) { schedule(batch); });
        informer->on_synced([this] { schedule(Duration::zero()); });
        starts_.push_back([&informer] { informer->start(); });
    }

    // Many changes are one look.
    void schedule(Duration delay) {
        if (scheduled_.exchange(true)) return;
        strand_.after(delay, [this] {
            const auto now = executor_.clock().monotonic();
            if (now < not_before_) {
                strand_.after(not_before_ - now, [this] { look(); });
                return;
            }
            look();
        });
    }

    template <class V>
    static bool known(const MaybeInformer<V>& informer) {
        return !informer || informer->synced();
    }
    bool all_known() const {
        if (!ingresses_.synced() || !known(services_) || !known(slices_) || !known(endpoints_) ||
            !known(pods_))
            return false;
        return (known(classes_) && known(secrets_)) ||
               executor_.clock().monotonic() - started_ > kinds_wait;
    }

    Observed observed() {
        Observed seen{.ingresses = ingresses_.all()};
        if (services_) seen.services = services_->all();
        if (slices_) seen.slices = slices_->all();
        if (classes_) seen.classes = classes_->all();
        if (secrets_) seen.secrets = secrets_->all();
        if (endpoints_)
            for (const auto& endpoints : endpoints_->all())
                for (const auto& subset : endpoints->subsets)
                    seen.slices.push_back(slice_of(*endpoints, subset));
        std::erase_if(left_out_, [&](const auto& one) {
            const auto now = ingresses_.find(one.first);
            return !now || now->metadata.resourceVersion != one.second;
        });
        for (const auto& [key, version] : left_out_) seen.left_out.insert(key);
        return seen;
    }

    void look() {
        scheduled_ = false;
        if (!all_known()) return;
        if (options_.makes_class) make_class();
        if (pods_ &&
            std::ranges::any_of(pods_->all(), [](const auto& p) { return claims_ports(*p); })) {
            if (nginx_.running()) log_info("the node's ports are left to a pod that claims them");
            nginx_.stop();
            healthy_ = true;
            return;
        }
        const auto done = serve();
        healthy_ = done.has_value();
        if (done) return;
        log_error("ingresses are not served as they should be", {{"error", done.error().message}});
        strand_.after(retry, [this] { schedule(Duration::zero()); });
    }

    // An ingress whose lines nginx does not take is left out, and all others are tried again.
    Result<> serve() {
        for (size_t tries = ingresses_.size() + 1; tries > 0; --tries) {
            const auto model = model_of(observed(), options_.model);
            const auto conf = nginx_conf(model, options_.conf);
            auto certificates = model.certificates;
            TRY(certificates["default"], own_certificate());
            TRY(const auto applied, nginx_.apply(conf, certificates));
            if (applied.refusal.empty()) {
                if (applied.changed) not_before_ = executor_.clock().monotonic() + reload_gap;
                tell(model);
                write_statuses(model);
                return {};
            }
            const auto owner = conf.owner_of(applied.refused_line);
            const auto ingress = ingresses_.find(owner);
            if (!ingress || left_out_.contains(owner))
                return fail(Reason::Invalid, concat("nginx refuses: ", applied.refusal));
            left_out_[owner] = ingress->metadata.resourceVersion;
            events_.record(client::reference_to(*ingress), client::EventType::Warning, "Rejected",
                           concat("nginx does not take it: ", applied.refusal));
        }
        return fail(Reason::Invalid, "nginx takes none of the configurations");
    }

    // Once for as long as it lasts.
    void tell(const Model& model) {
        std::set<std::string> told;
        for (const auto& [ingress, problem] : model.problems) {
            const auto id =
                concat(ingress->metadata.uid, " ", problem.reason, " ", problem.message);
            if (!told.insert(id).second || told_.contains(id)) continue;
            events_.record(client::reference_to(*ingress), client::EventType::Warning,
                           problem.reason, problem.message);
        }
        told_ = std::move(told);
    }

    void write_statuses(const Model& model) {
        if (options_.address.empty()) return;
        const bool six = options_.address.find(':') != std::string::npos;
        const bool ip =
            six || options_.address.find_first_not_of("0123456789.") == std::string::npos;
        for (const auto& ingress : model.served) {
            const auto& now = ingress->status.loadBalancer.ingress;
            if (now.size() == 1 && (ip ? now[0].ip : now[0].hostname) == options_.address) continue;
            if (left_out_.contains(key_of(*ingress))) continue;
            auto& asked = statuses_[ingress->metadata.uid];
            if (asked == ingress->metadata.resourceVersion) continue;   // on its way
            asked = ingress->metadata.resourceVersion;
            const auto done = client_.patch_text(
                client::resource_of<view::Ingress>(), key_of(*ingress), client::PatchType::Merge,
                concat(R"({"status":{"loadBalancer":{"ingress":[{")", ip ? "ip" : "hostname",
                       R"(":")", options_.address, R"("}]}}})"),
                "status");
            if (done || done.error().reason == Reason::NotFound) continue;
            log_warn("status not written",
                     {{"ingress", ingress->metadata.name}, {"error", done.error().message}});
            asked.clear();
            strand_.after(retry, [this] { schedule(Duration::zero()); });
        }
    }

    // What hosts without a certificate of their own show, made once.
    Result<std::string> own_certificate() {
        if (!own_certificate_.empty()) return own_certificate_;
        const auto path = certificate_path(options_.nginx.folder, "default");
        if (const auto kept = read_file(path)) return own_certificate_ = *kept;
        const auto now = executor_.clock().now();
        TRY(const auto ca,
            net::make_ca("Skiff ingress controller", now - 5min, now + own_certificate_life));
        TRY(const auto pair, net::issue(ca,
                                        {.common_name = "ingress.local",
                                         .organizations = {"Skiff"},
                                         .dns_names = {"ingress.local"},
                                         .addresses = {}},
                                        {.server_auth = true,
                                         .not_before = now - 5min,
                                         .not_after = now + own_certificate_life}));
        own_certificate_ = concat(pair.certificate_pem, pair.key_pem);
        return own_certificate_;
    }

    // Whoever takes it away is not given it again.
    void make_class() {
        const auto note = options_.nginx.folder + ".class";
        if (file_exists(note)) {
            options_.makes_class = false;
            return;
        }
        const auto done = client_.create_text(
            client::resource_of<view::IngressClass>(), "",
            concat(R"({"apiVersion":"networking.k8s.io/v1","kind":"IngressClass","metadata":)",
                   R"({"name":")", options_.model.class_name,
                   R"(","annotations":{"ingressclass.kubernetes.io/is-default-class":"true"}},)",
                   R"("spec":{"controller":")", options_.model.controller, R"("}})"));
        if (!done && done.error().reason != Reason::AlreadyExists) {
            log_warn("class not made", {{"error", done.error().message}});
            strand_.after(retry, [this] { schedule(Duration::zero()); });
            return;
        }
        options_.makes_class = false;
        static_cast<void>(write_file_atomic(note, "made\n", 0644, Sync::No));
    }

    ControllerOptions options_;
    Executor& executor_;
    client::Client client_;
    client::EventRecorder events_;
    Strand strand_;
    Nginx nginx_;
    client::Informer<view::Ingress> ingresses_;
    MaybeInformer<view::Service> services_;
    MaybeInformer<view::EndpointSlice> slices_;
    MaybeInformer<view::Endpoints> endpoints_;
    MaybeInformer<view::IngressClass> classes_;
    MaybeInformer<view::Secret> secrets_;
    MaybeInformer<view::Pod> pods_;
    std::vector<std::function<void()>> starts_;

    std::atomic<bool> scheduled_ = false;
    std::atomic<bool> healthy_ = false;
    MonoTime started_{};
    // Of the strand.
    MonoTime not_before_{};
    std::map<ObjectKey, std::string> left_out_;     // at this version
    std::map<std::string, std::string> statuses_;   // by uid: the version that was written for
    std::set<std::string> told_;
    std::string own_certificate_;
};

Controller::Controller(ControllerOptions options, Executor& executor, Random& random,
                       net::Loop& loop, client::Transport& transport)
    : core_{std::make_unique<Core>(std::move(options), executor, random, loop, transport)} {}
Controller::~Controller() = default;
void Controller::start() { core_->start(); }
bool Controller::healthy() const { return core_->healthy(); }

}   // namespace skiff::ingress

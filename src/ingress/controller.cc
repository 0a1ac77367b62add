#include "ingress/controller.h"

#include <algorithm>
#include <atomic>
#include <set>

#include "base/log.h"
#include "base/text.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "ingress/ports.h"
#include "ingress/served_pods.h"
#include "net/tls.h"

namespace skiff::ingress {
namespace {

using namespace std::chrono_literals;
using client::ObjectKey;

constexpr Duration batch = 10ms;         // changes that come together are one change
constexpr Duration reload_gap = 300ms;   // between two reloads, should changes go on and on
constexpr Duration retry = 1s;
constexpr Duration leftovers_time = 1s;   // in which an nginx that was told to lets go of ports
constexpr Duration leftovers_look = 10ms;
constexpr Duration port_look = 5s;    // whether a port that somebody had is free
constexpr Duration kinds_wait = 3s;   // for what need not be readable
constexpr const char* service_index = "service";
constexpr auto own_certificate_life = std::chrono::hours{24 * 3650};

template <class V>
ObjectKey key_of(const V& object) {
    return {.name_space = object.metadata.namespace_.str(), .name = object.metadata.name};
}

ObjectKey service_of(const view::EndpointSlice& slice) {
    return {.name_space = slice.metadata.namespace_.str(),
            .name = slice.metadata.labels.get("kubernetes.io/service-name").str()};
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

// Of ours, or of those where the world expects an ingress controller; 0 for none.
int32_t claimed_port(const view::Pod& pod, const Ports& ours) {
    if (pod.status.phase == "Succeeded" || pod.status.phase == "Failed") return 0;
    for (const auto& container : pod.spec.containers)
        for (const auto& port : container.ports) {
            const auto number = port.hostPort;
            const bool one =
                number == 80 || number == 443 || number == ours.http || number == ours.https;
            if (number && one && (port.protocol.empty() || port.protocol == "TCP")) return number;
        }
    return 0;
}

client::ObjectReference node_reference(const std::string& name) {
    return {.api_version = "v1",
            .kind = "Node",
            .name_space = {},
            .name = name,
            .uid = name,
            .resource_version = {},
            .field_path = {}};
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
          nginx_{options_.nginx, executor, loop, [this] { look_at_all(Duration::zero()); }},
          served_pods_{executor},
          wished_{options_.conf.http_port, options_.conf.https_port},
          ingresses_{executor, random, transport} {
        const auto itself = [](const auto& object) { return key_of(object); };
        make<view::Service>(services_, random, transport, {}, itself);
        if (options_.newer_kinds) {
            make_slices(random, transport);
            make<view::IngressClass>(classes_, random, transport);
            if (options_.model.secrets)
                make<view::Secret>(
                    secrets_, random, transport,
                    {.name_space = {},
                     .query = {.label_selector = {}, .field_selector = "type=kubernetes.io/tls"}});
        } else {
            make<view::Endpoints>(endpoints_, random, transport, {}, itself);
        }
        if (on_node())
            make<view::Pod>(pods_, random, transport,
                            {.name_space = {},
                             .query = {.label_selector = {},
                                       .field_selector = concat("spec.nodeName=", options_.node)}});
        ingresses_.on_change([this](const auto&, const auto&) { look_at_all(batch); });
        ingresses_.on_synced([this] { look_at_all(Duration::zero()); });
        if (nginx_.running()) held_ = held_before();
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
        ingresses_.start();
        if (!on_node()) begin();
    }

    bool healthy() const { return healthy_; }

    void wait_until_dropped(const std::string& pod_uid, Duration timeout) {
        const auto& clock = executor_.clock();
        const MonoTime deadline = clock.monotonic() + timeout;
        const auto servers = served_pods_.wait_until_dropped(pod_uid, timeout);
        wait_until_idle(options_.nginx.folder, servers, deadline - clock.monotonic());
    }

    void let_go_of_ports() {
        const auto done = executor_.make_waiter();
        strand_.post([this, done] {
            nginx_.let_go_of_ports();
            done->notify();
        });
        done->wait();
    }

  private:
    bool on_node() const { return !options_.node.empty(); }

    // Everything but the ingresses themselves is followed once there is one.
    void begin() {
        if (std::exchange(begun_, true)) return;
        started_ = executor_.clock().monotonic();
        for (const auto& start_one : starts_) start_one();
        strand_.after(kinds_wait, [this] { look_at_all(Duration::zero()); });
    }

    // `service`: of which service an object tells; changes of services that no ingress names
    // change nothing.
    template <class V>
    void make(MaybeInformer<V>& informer, Random& random, client::Transport& transport,
              client::InformerOptions options = {},
              std::function<ObjectKey(const V&)> service = nullptr) {
        informer = std::make_unique<client::Informer<V>>(executor_, random, transport, options);
        informer->on_change([this, service](const auto& old, const auto& now) {
            if (!service) return look_at_all(batch);
            strand_.post([this, key = service(now ? *now : *old)] {
                if (services_named_.contains(key)) look_at_all(batch);
            });
        });
        informer->on_synced([this] { look_at_all(Duration::zero()); });
        starts_.push_back([&informer] { informer->start(); });
    }

    // Changes of these are by far the most, and change no line of the configuration: only the
    // service that they are of is looked at.
    void make_slices(Random& random, client::Transport& transport) {
        slices_ =
            std::make_unique<client::Informer<view::EndpointSlice>>(executor_, random, transport);
        slices_->add_index(service_index, [](const view::EndpointSlice& slice) {
            return std::vector<std::string>{service_of(slice).text()};
        });
        slices_->on_change([this](const auto& old, const auto& now) {
            for (const auto* one : {old.get(), now.get()})
                if (one)
                    strand_.post([this, key = service_of(*one)] {
                        if (!services_named_.contains(key)) return;
                        services_changed_.insert(key);
                        schedule(batch);
                    });
        });
        slices_->on_synced([this] { look_at_all(Duration::zero()); });
        starts_.push_back([this] { slices_->start(); });
    }

    void look_at_all(Duration delay) {
        look_at_all_ = true;
        schedule(delay);
    }

    // Many changes are one look.
    void schedule(Duration delay) {
        if (scheduled_.exchange(true)) return;
        strand_.after(delay, [this] {
            const auto now = executor_.clock().monotonic();
            if (look_at_all_ && now < not_before_) {   // endpoints need no reload
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
        if (!known(services_) || !known(slices_) || !known(endpoints_) || !known(pods_))
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
        if (!ingresses_.synced()) return;
        const auto changed = std::exchange(services_changed_, {});
        if (!look_at_all_.exchange(false) && serve_services(changed)) return;
        if (options_.makes_class) make_class();
        if (on_node() && ingresses_.size() == 0)
            return rest(concat(ports_text(wished_, wished_), ", once there is an Ingress"));
        begin();
        if (!all_known()) return;
        if (pods_)
            for (const auto& pod : pods_->all())
                if (const auto port = claimed_port(*pod, wished_))
                    return rest(concat("left to the pod ", pod->metadata.namespace_, "/",
                                       pod->metadata.name, ", which claims port ", port,
                                       " of this node"));
        const auto done = serve();
        healthy_ = done.has_value();
        if (done) return;
        if (!nginx_.running()) served_pods_.in_force({});   // nobody has to wait for anything
        state(done.error().message);
        log_error("ingresses are not served as they should be", {{"error", done.error().message}});
        strand_.after(retry, [this] { look_at_all(Duration::zero()); });
    }

    // The ports are free, and nothing is served.
    void rest(const std::string& why) {
        if (nginx_.running()) log_info("ingresses are not served here", {{"why", why}});
        nginx_.stop();
        held_ = {};
        services_named_.clear();
        served_pods_.in_force({});
        healthy_ = true;
        state(why);
    }

    // Told once for as long as it lasts; what is wrong with the ports is told of the node too.
    void state(const std::string& line) {
        if (state_ == line) return;
        state_ = line;
        if (line.find("in use by") != line.npos && on_node())
            events_.record(node_reference(options_.node), client::EventType::Warning,
                           "IngressPortInUse", concat("ingresses: ", line));
        if (!options_.state_file.empty())
            static_cast<void>(write_file_atomic(options_.state_file, line + "\n", 0644, Sync::No));
    }

    // What an nginx that was started before listens on.
    Ports held_before() const {
        const auto text = read_file(options_.nginx.folder + "/nginx.conf").value_or("");
        const auto listens = [&](uint16_t port) {
            return text.find(concat("listen ", port, " ")) != text.npos ||
                   text.find(concat("listen ", port, ";")) != text.npos;
        };
        return {.http = listens(wished_.http) ? wished_.http : uint16_t{0},
                .https = listens(wished_.https) ? wished_.https : uint16_t{0}};
    }

    // False: there is none. What is missing is looked for again.
    bool take_ports() {
        if (!on_node()) return true;
        const auto look = [this] {
            return ports_to_have(wished_, held_, [this](uint16_t port) {
                return port_is_free(port, options_.conf.ipv6);
            });
        };
        Ports have;
        if (nginx_.running()) {
            have = look();
        } else {
            held_ = {.http = nginx_.holds(wished_.http) ? wished_.http : uint16_t{0},
                     .https = nginx_.holds(wished_.https) ? wished_.https : uint16_t{0}};
            const bool leftovers = nginx_.end_leftovers();
            const auto until = executor_.clock().monotonic() + leftovers_time;
            while ((have = look()) != wished_ && leftovers && executor_.clock().monotonic() < until)
                executor_.make_waiter()->wait_until(executor_.clock().monotonic() + leftovers_look);
        }
        held_ = have;
        options_.conf.http_port = held_.http;
        options_.conf.https_port = held_.https;
        state(ports_text(wished_, held_));
        if (held_ != wished_) strand_.after(port_look, [this] { look_at_all(Duration::zero()); });
        return !held_.none();
    }

    // False: all has to be looked at.
    bool serve_services(const std::set<ObjectKey>& changed) {
        if (!healthy_ || !nginx_.running()) return false;
        for (const auto& key : changed) {
            const auto named = services_named_.find(key);
            if (named == services_named_.end() || named->second.empty()) continue;
            const auto slices = slices_->by_index(service_index, key.text());
            std::vector<const view::EndpointSlice*> pointers;
            for (const auto& slice : slices) pointers.push_back(slice.get());
            const auto found = endpoints_of(pointers, named->second);
            if (!nginx_.change_endpoints(found.upstreams)) return false;
            served_pods_.in_force(key, found.pods);
        }
        return true;
    }

    // An ingress whose lines nginx does not take is left out, and all others are tried again.
    Result<> serve() {
        for (size_t tries = ingresses_.size() + 1; tries > 0; --tries) {
            auto model = model_of(observed(), options_.model, pairs_);
            services_named_ = std::move(model.services);
            if (on_node() && model.served.empty()) {
                rest(concat(ports_text(wished_, wished_), ", once there is an Ingress of class ",
                            options_.model.class_name));
                return {};
            }
            if (!take_ports()) {
                served_pods_.in_force({});
                return {};
            }
            const auto conf = nginx_conf(model, options_.conf);
            auto certificates = model.certificates;
            TRY(certificates["default"], own_certificate());
            TRY(const auto applied, nginx_.apply(conf, certificates, model.upstreams));
            if (applied.refusal.empty()) {
                if (applied.reloaded) not_before_ = executor_.clock().monotonic() + reload_gap;
                served_pods_.in_force(model.pods);
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
            strand_.after(retry, [this] { look_at_all(Duration::zero()); });
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
            strand_.after(retry, [this] { look_at_all(Duration::zero()); });
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
    ServedPods served_pods_;
    Ports wished_;
    client::Informer<view::Ingress> ingresses_;
    MaybeInformer<view::Service> services_;
    MaybeInformer<view::EndpointSlice> slices_;
    MaybeInformer<view::Endpoints> endpoints_;
    MaybeInformer<view::IngressClass> classes_;
    MaybeInformer<view::Secret> secrets_;
    MaybeInformer<view::Pod> pods_;
    std::vector<std::function<void()>> starts_;

    std::atomic<bool> scheduled_ = false;
    std::atomic<bool> look_at_all_ = true;
    std::atomic<bool> healthy_ = false;
    MonoTime started_{};
    // Of the strand.
    bool begun_ = false;
    MonoTime not_before_{};
    Ports held_;
    std::string state_;
    std::map<ObjectKey, std::vector<ServicePort>> services_named_;
    std::set<ObjectKey> services_changed_;
    TriedPairs pairs_;
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
void Controller::let_go_of_ports() { core_->let_go_of_ports(); }
bool Controller::healthy() const { return core_->healthy(); }
void Controller::wait_until_dropped(const std::string& pod_uid, Duration timeout) {
    core_->wait_until_dropped(pod_uid, timeout);
}

}   // namespace skiff::ingress

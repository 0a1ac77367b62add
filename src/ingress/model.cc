#include "ingress/model.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "base/text.h"
#include "net/tls.h"

namespace skiff::ingress {
namespace {

using client::ObjectKey;
using SharedIngress = std::shared_ptr<const view::Ingress>;

constexpr std::string_view class_annotation = "kubernetes.io/ingress.class";
constexpr std::string_view default_annotation = "ingressclass.kubernetes.io/is-default-class";
constexpr std::string_view service_label = "kubernetes.io/service-name";

template <class V>
ObjectKey key_of(const V& object) {
    return {.name_space = object.metadata.namespace_.str(), .name = object.metadata.name};
}

class Builder {
  public:
    Builder(const Observed& observed, const ModelOptions& options, TriedPairs& pairs)
        : observed_{observed}, options_{options}, pairs_{pairs} {
        pairs.keep(observed.secrets);
        for (const auto& service : observed.services) services_[key_of(*service)] = service.get();
        for (const auto& secret : observed.secrets) secrets_[key_of(*secret)] = secret;
        for (const auto& slice : observed.slices)
            slices_[{.name_space = slice->metadata.namespace_.str(),
                     .name = slice->metadata.labels.get(service_label).str()}]
                .push_back(slice.get());
    }

    Model build() {
        servers_[""];   // there is always one for all others
        for (const auto& ingress : observed_.ingresses)
            if (ours(*ingress)) model_.served.push_back(ingress);
        // The oldest has the right where two want the same.
        std::ranges::sort(model_.served, {}, [](const SharedIngress& one) {
            return std::tuple{one->metadata.creationTimestamp.value_or(WallTime{}),
                              one->metadata.namespace_.str(), one->metadata.name};
        });
        for (const auto& ingress : model_.served)
            if (!observed_.left_out.contains(key_of(*ingress))) add(ingress);
        finish();
        return std::move(model_);
    }

  private:
    struct Draft {
        Server server;
        std::map<std::pair<Match, std::string>, SharedIngress> owners;
        std::optional<Location> fallback;
    };

    bool ours(const view::Ingress& ingress) const {
        if (const auto* named = ingress.metadata.annotations.find(class_annotation);
            named && !named->empty())
            return *named == options_.class_name;
        if (const auto& name = ingress.spec.ingressClassName) {
            for (const auto& one : observed_.classes)
                if (one->metadata.name == *name) return one->spec.controller == options_.controller;
            return observed_.classes.empty() && *name == options_.class_name;
        }
        return options_.without_class ||
               std::ranges::any_of(observed_.classes, [&](const auto& one) {
                   return one->spec.controller == options_.controller &&
                          one->metadata.annotations.get(default_annotation) == "true";
               });
    }

    void tell(const SharedIngress& ingress, std::string reason, std::string message) {
        model_.problems.push_back({ingress, {std::move(reason), std::move(message)}});
    }

    void add(const SharedIngress& ingress) {
        std::vector<Problem> problems;
        const Settings settings = settings_of(*ingress, problems);
        for (auto& problem : problems) model_.problems.push_back({ingress, std::move(problem)});
        std::optional<Location> fallback;
        if (ingress->spec.defaultBackend)
            fallback = location(ingress, settings, *ingress->spec.defaultBackend);
        for (const auto& rule : ingress->spec.rules) {
            if (!rule.host.empty() && !is_host(rule.host)) {
                tell(ingress, "InvalidHost", concat("'", rule.host, "' is no host name"));
                continue;
            }
            Draft& draft = servers_[rule.host.str()];
            if (fallback && !draft.fallback) draft.fallback = fallback;
            if (!rule.http) continue;
            for (const auto& path : rule.http->paths)
                add_path(ingress, settings, path, rule, draft);
        }
        if (ingress->spec.rules.empty() && fallback) {
            Draft& all = servers_[""];
            if (all.fallback)
                tell(ingress, "Conflict", "another ingress has the default backend already");
            else
                all.fallback = fallback;
        }
        add_tls(ingress);
    }

    template <class Path, class Rule>
    void add_path(const SharedIngress& ingress, const Settings& settings, const Path& path,
                  const Rule& rule, Draft& draft) {
        Location entry = location(ingress, settings, path.backend);
        entry.path = path.path.empty() ? "/" : path.path;
        const bool exact = path.pathType == "Exact";
        const bool regex =
            settings.use_regex || (settings.rewrite && settings.rewrite->whole &&
                                   settings.rewrite->target.find('$') != std::string::npos);
        entry.match = exact ? Match::Exact : regex ? Match::Regex : Match::Prefix;
        if (entry.match == Match::Regex ? !is_regex_path(entry.path) : !is_plain_path(entry.path)) {
            tell(ingress, "InvalidPath",
                 concat("a path of ", rule.host.empty() ? "*" : rule.host.str(),
                        " is left out: it has characters that no path of an ingress may have"));
            return;
        }
        if (entry.match == Match::Prefix)   // by elements: /a and /a/ are the same
            while (entry.path.size() > 1 && entry.path.ends_with('/')) entry.path.pop_back();
        const auto [at, fresh] = draft.owners.emplace(std::pair{entry.match, entry.path}, ingress);
        if (fresh) {
            draft.server.locations.push_back(std::move(entry));
        } else if (at->second != ingress) {
            tell(ingress, "Conflict",
                 concat("the path ", entry.path, " of ", rule.host.empty() ? "*" : rule.host.str(),
                        " belongs to the ingress ", at->second->metadata.namespace_, "/",
                        at->second->metadata.name));
        }
    }

    Location location(const SharedIngress& ingress, const Settings& settings,
                      const view::Ingress::IngressBackend& backend) {
        Location entry{.settings = settings, .owner = key_of(*ingress)};
        if (settings.refused) return entry;
        if (!backend.service) {
            tell(ingress, "UnsupportedBackend", "only services can be backends");
            return entry;
        }
        const auto& port = backend.service->port;
        std::string problem;
        entry.upstream = upstream(
            {.name_space = ingress->metadata.namespace_.str(), .name = backend.service->name},
            port.name, port.number, problem);
        if (!problem.empty()) tell(ingress, "BackendNotFound", problem);
        return entry;
    }

    // "" when there is nothing that a request could be sent to; then `problem` says why.
    std::string upstream(const ObjectKey& key, std::string_view port_name, int32_t number,
                         std::string& problem) {
        auto& ports = model_.services[key];
        const auto found = services_.find(key);
        if (found == services_.end()) {
            problem = concat("there is no service ", key.name_space, "/", key.name);
            return {};
        }
        const auto& service = *found->second;
        if (service.spec.type == "ExternalName") {
            problem = concat("the service ", key.name_space, "/", key.name,
                             " is of type ExternalName, which is not supported");
            return {};
        }
        const auto port = std::ranges::find_if(service.spec.ports, [&](const auto& one) {
            return port_name.empty() ? one.port == number || number == 0 : one.name == port_name;
        });
        if (port == service.spec.ports.end()) {
            problem = concat("the service ", key.name_space, "/", key.name, " has no port ",
                             port_name.empty() ? std::to_string(number) : std::string{port_name});
            return {};
        }
        auto name = concat(key.name_space, "_", key.name, "_", port->port);
        if (model_.upstreams.try_emplace(name).second) ports.push_back({name, port->name});
        return name;
    }

    void add_tls(const SharedIngress& ingress) {
        for (const auto& tls : ingress->spec.tls) {
            const auto certificate = certificate_of(ingress, tls.secretName);
            auto hosts = tls.hosts;
            if (hosts.empty())
                for (const auto& rule : ingress->spec.rules) hosts.push_back(rule.host.str());
            for (const auto& host : hosts) {
                if (!host.empty() && !is_host(host)) continue;
                Server& server = servers_[host].server;
                if (server.tls && server.certificate != certificate && !certificate.empty() &&
                    !server.certificate.empty()) {
                    tell(ingress, "Conflict",
                         concat("another ingress has given ", host, " a certificate already"));
                    continue;
                }
                server.tls = true;
                if (!certificate.empty()) server.certificate = certificate;
            }
        }
    }

    std::string certificate_of(const SharedIngress& ingress, const std::string& name) {
        if (name.empty()) return {};
        const ObjectKey key{.name_space = ingress->metadata.namespace_.str(), .name = name};
        const auto complain = [&](std::string_view what) {
            tell(ingress, "CertificateNotUsable",
                 concat("the secret ", key.name_space, "/", key.name, " ", what,
                        "; its hosts have the controller's own certificate"));
            return std::string{};
        };
        if (!options_.secrets) return complain("cannot be read by this controller");
        const auto found = secrets_.find(key);
        if (found == secrets_.end()) return complain("of type kubernetes.io/tls does not exist");
        if (const auto& problem = pairs_.problem_of(found->second); !problem.empty())
            return complain(problem);
        const auto& data = found->second->data;
        auto id = concat(key.name_space, "_", key.name);
        model_.certificates[id] =
            concat(trim(*data.find("tls.crt")), "\n", trim(*data.find("tls.key")), "\n");
        return id;
    }

    void finish() {
        Location last{.built_in = true};
        if (!options_.default_backend.empty()) {
            const auto [space, name] = cut(options_.default_backend, '/');
            std::string ignored;
            last.built_in = false;
            last.upstream =
                upstream({.name_space = std::string{space}, .name = std::string{name.value_or("")}},
                         "", 0, ignored);
        }
        auto& all = servers_[""];
        if (!all.fallback) all.fallback = last;
        for (auto& [host, draft] : servers_) {
            draft.server.host = host;
            draft.server.fallback = draft.fallback ? *draft.fallback : *all.fallback;
            model_.servers.push_back(std::move(draft.server));
        }
        for (const auto& [key, ports] : model_.services) {
            if (ports.empty()) continue;
            auto found = endpoints_of(slices_[key], ports);
            for (auto& [name, servers] : found.upstreams)
                model_.upstreams[name] = std::move(servers);
            model_.pods[key] = std::move(found.pods);
        }
    }

    const Observed& observed_;
    const ModelOptions& options_;
    TriedPairs& pairs_;
    std::map<ObjectKey, const view::Service*> services_;
    std::map<ObjectKey, std::shared_ptr<const view::Secret>> secrets_;
    std::map<ObjectKey, std::vector<const view::EndpointSlice*>> slices_;
    std::map<std::string, Draft> servers_;   // by host
    Model model_;
};

}   // namespace

const std::string& TriedPairs::problem_of(const std::shared_ptr<const view::Secret>& secret) {
    const auto [at, fresh] = tried_.try_emplace(secret.get(), Tried{secret, {}});
    auto& problem = at->second.problem;
    if (!fresh) return problem;
    const auto* chain = secret->data.find("tls.crt");
    const auto* key = secret->data.find("tls.key");
    if (!chain || !key)
        problem = "has no tls.crt and tls.key";
    else if (const auto usable = net::make_server_tls(*chain, *key, *chain); !usable)
        problem = concat("has no usable pair: ", usable.error().message);
    return problem;
}

void TriedPairs::keep(const Snapshot<view::Secret>& secrets) {
    std::set<const view::Secret*> there;
    for (const auto& secret : secrets) there.insert(secret.get());
    std::erase_if(tried_, [&](const auto& one) { return !there.contains(one.first); });
}

Model model_of(const Observed& observed, const ModelOptions& options, TriedPairs& pairs) {
    return Builder{observed, options, pairs}.build();
}

}   // namespace skiff::ingress

#include "dns/zone.h"

#include <algorithm>

#include <arpa/inet.h>

#include "base/text.h"

namespace skiff::dns {
namespace {

constexpr uint32_t ttl = 5;   // CoreDNS' default: a change is seen soon
constexpr std::string_view service_name_label = "kubernetes.io/service-name";
constexpr std::string_view schema_version = "1.1.0";
constexpr std::string_view reverse_domain = "in-addr.arpa";

std::string dashed(std::string text) {
    std::ranges::replace_if(
        text, [](char c) { return c == '.' || c == ':'; }, '-');
    return text;
}

std::string ipv6_bytes(const std::string& text) {
    std::string bytes(16, '\0');
    return ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1 ? bytes : std::string{};
}

std::string key_of(std::string_view name, std::string_view name_space) {
    return concat(name, ".", name_space);
}

// The labels before the suffix, from the left; nothing when the name does not end in it.
std::optional<std::vector<std::string_view>> labels_before(std::string_view name,
                                                           std::string_view suffix) {
    if (name == suffix) return std::vector<std::string_view>{};
    if (name.size() <= suffix.size() + 1 || !name.ends_with(suffix) ||
        name[name.size() - suffix.size() - 1] != '.')
        return std::nullopt;
    return split(name.substr(0, name.size() - suffix.size() - 1), '.');
}

// "4.3.2.1" gives 1.2.3.4; fewer labels give nothing.
std::optional<uint32_t> reversed_address(const std::vector<std::string_view>& labels) {
    if (labels.size() != 4) return std::nullopt;
    return parse_ipv4(concat(labels[3], ".", labels[2], ".", labels[1], ".", labels[0]));
}

// The whole octets of a range as a reverse name: 10.96.0.0/16 is "96.10.in-addr.arpa".
std::string reverse_zone(const Ipv4Range& range) {
    std::string name{reverse_domain};
    for (unsigned i = 0; i < range.bits / 8; ++i)
        name = concat(range.base >> (24 - 8 * i) & 255, ".", name);
    return name;
}

}   // namespace

// One question on its way through the names.
class Zone::Search {
  public:
    Search(const Zone& zone, const Question& question, uint16_t turn)
        : zone_{zone}, question_{question}, turn_{turn} {}

    std::optional<Reply> run() {
        if (question_.klass != class_internet) return std::nullopt;
        if (const auto labels = labels_before(question_.name, zone_.options_.domain))
            return forward_name(*labels);
        if (const auto labels = labels_before(question_.name, reverse_domain))
            return reverse_name(*labels);
        return std::nullopt;
    }

  private:
    std::string_view domain() const { return zone_.options_.domain; }
    bool asked(Type type) const { return question_.type == type || question_.type == Type::ANY; }

    Record soa(std::string_view zone_name) const {
        return {
            .name = std::string{zone_name},
            .type = Type::SOA,
            .ttl = ttl,
            .data = soa_data(concat("ns.dns.", domain()), concat("hostmaster.", domain()), 1, ttl)};
    }
    Reply denial(Code code, std::string_view zone_name) const {
        return {.answer = {.code = code, .authority = {soa(zone_name)}}, .alias = {}};
    }
    Reply no_such_name() const { return denial(Code::NameError, domain()); }
    // The name is there, with nothing of the asked type unless `answers` has it.
    Reply existing(std::vector<Record> answers, std::vector<Record> additional = {}) const {
        if (answers.empty()) return denial(Code::NoError, domain());
        return {.answer = {.answers = std::move(answers), .additional = std::move(additional)},
                .alias = {}};
    }
    Record record(std::string_view name, Type type, std::string data) const {
        return {.name = std::string{name}, .type = type, .ttl = ttl, .data = std::move(data)};
    }

    Reply forward_name(const std::vector<std::string_view>& labels) const {
        if (labels.empty()) return apex();
        const auto branch = labels.back();
        if (labels.size() == 1 && branch == "dns-version")
            return existing(asked(Type::TXT) ? std::vector{record(question_.name, Type::TXT,
                                                                  txt_data(schema_version))}
                                             : std::vector<Record>{});
        if (branch == "dns") return name_server(labels);
        if (branch == "pod") return pod(labels);
        if (branch == "svc") return service(labels);
        return no_such_name();
    }

    Reply apex() const {
        std::vector<Record> answers;
        if (asked(Type::SOA)) answers.push_back(soa(domain()));
        if (asked(Type::NS))
            answers.push_back(
                record(question_.name, Type::NS, encode_name(concat("ns.dns.", domain()))));
        return existing(std::move(answers));
    }

    Reply name_server(const std::vector<std::string_view>& labels) const {
        if (labels.size() > 2 || (labels.size() == 2 && labels[0] != "ns")) return no_such_name();
        if (labels.size() == 1 || !asked(Type::A)) return existing({});
        return existing({record(question_.name, Type::A, a_data(zone_.options_.own_address))});
    }

    // 1-2-3-4.NAMESPACE.pod: what the name says, as upstream's default has it.
    Reply pod(const std::vector<std::string_view>& labels) const {
        if (labels.size() <= 2) return existing({});
        if (labels.size() > 3) return no_such_name();
        std::string text{labels[0]};
        std::ranges::replace(text, '-', '.');
        const auto address = parse_ipv4(text);
        if (!address) return no_such_name();
        if (!asked(Type::A)) return existing({});
        return existing({record(question_.name, Type::A, a_data(*address))});
    }

    // [[_PORT.]_PROTOCOL.|ENDPOINT.]SERVICE.NAMESPACE.svc
    Reply service(const std::vector<std::string_view>& labels) const {
        const size_t count = labels.size();
        if (count == 1) return existing({});
        const auto name_space = labels[count - 2];
        if (count == 2)
            return zone_.namespaces_.contains(name_space) ? existing({}) : no_such_name();
        const auto key = key_of(labels[count - 3], name_space);
        const auto found = zone_.entries_.find(key);
        if (found == zone_.entries_.end() || !found->second.known) return no_such_name();
        const Entry& entry = found->second;
        if (!entry.external.empty()) return count == 3 ? external(entry) : no_such_name();
        if (count == 3) return whole(key, entry);
        if (count == 4 && !labels[0].starts_with('_')) return one_endpoint(entry, labels[0]);
        if (count > 5 || !labels[count - 4].starts_with('_')) return no_such_name();
        const auto protocol = labels[count - 4].substr(1);
        if (count == 4) return of_protocol(key, entry, protocol);
        if (!labels[0].starts_with('_')) return no_such_name();
        return of_port(key, entry, labels[0].substr(1), protocol);
    }

    Reply external(const Entry& entry) const {
        Reply reply = existing({record(question_.name, Type::CNAME, encode_name(entry.external))});
        if (question_.type == Type::CNAME) return reply;
        // A name of ours is followed here, any other is for the forwarder.
        if (!labels_before(entry.external, domain())) {
            reply.alias = entry.external;
            return reply;
        }
        if (entry.external == question_.name) return reply;
        const Question next{.name = entry.external, .type = question_.type};
        const auto more = Search{zone_, next, turn_}.run();
        if (!more || !more->alias.empty()) return reply;   // no chains of them
        for (const auto& one : more->answer.answers)
            if (one.type != Type::CNAME) reply.answer.answers.push_back(one);
        return reply;
    }

    template <class Visit>
    static void each_endpoint(const Entry& entry, Visit&& visit) {
        for (const auto& [name, endpoints] : entry.slices)
            for (const auto& endpoint : endpoints) visit(endpoint);
    }

    static Type type_of(const Endpoint& one) { return one.six.empty() ? Type::A : Type::AAAA; }
    static std::string data_of(const Endpoint& one) {
        return one.six.empty() ? a_data(one.address) : one.six;
    }

    // Who asks again gets another one first.
    std::vector<Record> in_turn(std::vector<Record> records) const {
        if (records.size() > 1)
            std::ranges::rotate(records, records.begin() + turn_ % std::ssize(records));
        return records;
    }

    Reply whole(const std::string& key, const Entry& entry) const {
        std::vector<Record> answers;
        std::vector<Record> additional;
        std::set<std::pair<Type, std::string>> addresses;
        if (entry.address && asked(Type::A)) addresses.emplace(Type::A, a_data(*entry.address));
        if (entry.headless)
            each_endpoint(entry, [&](const Endpoint& one) {
                if (asked(type_of(one))) addresses.emplace(type_of(one), data_of(one));
            });
        for (const auto& [type, data] : addresses)
            answers.push_back(record(question_.name, type, data));
        answers = in_turn(std::move(answers));
        if (question_.type == Type::SRV) add_ports(key, entry, {}, {}, answers, additional);
        return existing(std::move(answers), std::move(additional));
    }

    Reply one_endpoint(const Entry& entry, std::string_view host) const {
        std::vector<Record> answers;
        bool known = false;
        each_endpoint(entry, [&](const Endpoint& one) {
            if (one.host != host) return;
            known = true;
            if (asked(type_of(one)))
                answers.push_back(record(question_.name, type_of(one), data_of(one)));
        });
        return known ? existing(std::move(answers)) : no_such_name();
    }

    // SRV records of ports with that name and protocol; empty ones mean any.
    bool add_ports(const std::string& key, const Entry& entry, std::string_view name,
                   std::string_view protocol, std::vector<Record>& answers,
                   std::vector<Record>& additional) const {
        bool known = false;
        const auto wanted = [&](std::string_view one, std::string_view spoken) {
            return (name.empty() || one == name) && (protocol.empty() || iequals(spoken, protocol));
        };
        std::set<std::pair<std::string, int32_t>> ports;
        std::set<std::pair<std::string, std::string>> targets;
        const auto add = [&](const std::string& target, int32_t port, Type type, std::string data) {
            known = true;
            if (ports.emplace(target, port).second)
                answers.push_back(record(question_.name, Type::SRV,
                                         srv_data(0, 100, static_cast<uint16_t>(port), target)));
            if (targets.emplace(target, data).second)
                additional.push_back(record(target, type, std::move(data)));
        };
        if (entry.address)
            for (const auto& port : entry.ports)
                if (wanted(port.name, port.protocol.view()))
                    add(zone_.own_name(key), port.port, Type::A, a_data(*entry.address));
        if (!entry.headless) return known;
        each_endpoint(entry, [&](const Endpoint& one) {
            for (const auto& port : one.ports)
                if (port.port && wanted(port.name.value_or(""), port.protocol.view()))
                    add(concat(one.host, ".", zone_.own_name(key)), *port.port, type_of(one),
                        data_of(one));
        });
        return known;
    }

    Reply of_protocol(const std::string& key, const Entry& entry, std::string_view protocol) const {
        std::vector<Record> answers;
        std::vector<Record> additional;
        return add_ports(key, entry, {}, protocol, answers, additional) ? existing({})
                                                                        : no_such_name();
    }

    Reply of_port(const std::string& key, const Entry& entry, std::string_view name,
                  std::string_view protocol) const {
        std::vector<Record> answers;
        std::vector<Record> additional;
        if (name.empty() || !add_ports(key, entry, name, protocol, answers, additional))
            return no_such_name();
        if (!asked(Type::SRV)) return existing({});
        return existing(in_turn(std::move(answers)), std::move(additional));
    }

    std::optional<Reply> reverse_name(const std::vector<std::string_view>& labels) const {
        const auto address = reversed_address(labels);
        if (!address) return std::nullopt;
        std::vector<Record> answers;
        const auto add = [&](std::string_view host, const std::string& key) {
            const auto target = concat(host, host.empty() ? "" : ".", zone_.own_name(key));
            answers.push_back(record(question_.name, Type::PTR, encode_name(target)));
        };
        if (const auto found = zone_.service_addresses_.find(*address);
            found != zone_.service_addresses_.end())
            for (const auto& key : found->second) add({}, key);
        if (const auto found = zone_.endpoint_addresses_.find(*address);
            answers.empty() && found != zone_.endpoint_addresses_.end())
            for (const auto& key :
                 std::set<std::string>{found->second.begin(), found->second.end()})
                add_endpoint_names(*address, key, add);
        for (const auto& range : zone_.options_.ranges)
            if (range.contains(*address) && (answers.empty() || !asked(Type::PTR)))
                return denial(answers.empty() ? Code::NameError : Code::NoError,
                              reverse_zone(range));
        if (answers.empty() || !asked(Type::PTR)) return std::nullopt;
        return existing(std::move(answers));
    }

    template <class Add>
    void add_endpoint_names(uint32_t address, const std::string& key, Add&& add) const {
        const auto found = zone_.entries_.find(key);
        if (found == zone_.entries_.end() || !found->second.known || !found->second.headless)
            return;
        std::set<std::string> hosts;
        each_endpoint(found->second, [&](const Endpoint& one) {
            if (one.six.empty() && one.address == address) hosts.insert(one.host);
        });
        for (const auto& host : hosts) add(host, key);
    }

    const Zone& zone_;
    const Question& question_;
    uint16_t turn_;
};

Zone::Zone(ZoneOptions options) : options_{std::move(options)} {}

std::string Zone::own_name(std::string_view key) const {
    return concat(key, ".svc.", options_.domain);
}

Zone::Entry& Zone::entry(const std::string& key) { return entries_[key]; }

void Zone::drop_if_empty(const std::string& key) {
    const auto found = entries_.find(key);
    if (found != entries_.end() && !found->second.known && found->second.slices.empty())
        entries_.erase(found);
}

void Zone::forget_address(const std::string& key, const Entry& entry) {
    if (!entry.address) return;
    const auto found = service_addresses_.find(*entry.address);
    if (found == service_addresses_.end()) return;
    found->second.erase(key);
    if (found->second.empty()) service_addresses_.erase(found);
}

void Zone::put(const view::Service& service) {
    const auto key = key_of(service.metadata.name, service.metadata.namespace_.view());
    Entry& mine = entry(key);
    forget_address(key, mine);
    if (!mine.known) ++namespaces_[service.metadata.namespace_.str()];
    mine.known = true;
    mine.headless = service.spec.clusterIP == "None";
    mine.address = parse_ipv4(service.spec.clusterIP);
    mine.external.clear();
    if (service.spec.type == "ExternalName") {
        mine.external = lower(service.spec.externalName);
        if (mine.external.ends_with('.')) mine.external.pop_back();
    }
    mine.ports = service.spec.ports;
    if (mine.address) service_addresses_[*mine.address].insert(key);
}

void Zone::remove(const view::Service& service) {
    const auto key = key_of(service.metadata.name, service.metadata.namespace_.view());
    Entry& mine = entry(key);
    forget_address(key, mine);
    if (mine.known)
        if (const auto found = namespaces_.find(service.metadata.namespace_.view());
            found != namespaces_.end() && --found->second == 0)
            namespaces_.erase(found);
    auto slices = std::move(mine.slices);
    mine = Entry{};
    mine.slices = std::move(slices);
    drop_if_empty(key);
}

void Zone::index_endpoints(const std::string& key, const std::vector<Endpoint>& endpoints,
                           bool add) {
    for (const auto& endpoint : endpoints) {
        if (!endpoint.six.empty()) continue;
        auto& keys = endpoint_addresses_[endpoint.address];
        if (add)
            keys.insert(key);
        else if (const auto found = keys.find(key); found != keys.end())
            keys.erase(found);
        if (keys.empty()) endpoint_addresses_.erase(endpoint.address);
    }
}

void Zone::put(const view::EndpointSlice& slice) {
    const auto* service = slice.metadata.labels.find(service_name_label);
    if (!service || slice.addressType == "FQDN") return remove(slice);
    std::vector<Endpoint> endpoints;
    for (const auto& one : slice.endpoints) {
        if (!one.conditions.ready.value_or(true)) continue;
        for (const auto& text : one.addresses) {
            const auto address = parse_ipv4(text);
            auto six = address ? std::string{} : ipv6_bytes(text);
            if (!address && six.empty()) continue;
            endpoints.push_back(
                {.address = address.value_or(0),
                 .six = std::move(six),
                 .host = one.hostname.value_or("").empty() ? dashed(text) : lower(*one.hostname),
                 .ports = slice.ports});
        }
    }
    const auto key = key_of(service->view(), slice.metadata.namespace_.view());
    auto& held = entry(key).slices[slice.metadata.name];
    index_endpoints(key, held, false);
    index_endpoints(key, endpoints, true);
    held = std::move(endpoints);
}

void Zone::remove(const view::EndpointSlice& slice) {
    const auto* service = slice.metadata.labels.find(service_name_label);
    if (!service) return;
    const auto key = key_of(service->view(), slice.metadata.namespace_.view());
    Entry& mine = entry(key);
    if (const auto found = mine.slices.find(slice.metadata.name); found != mine.slices.end()) {
        index_endpoints(key, found->second, false);
        mine.slices.erase(found);
    }
    drop_if_empty(key);
}

std::optional<Zone::Reply> Zone::find(const Question& question, uint16_t turn) const {
    return Search{*this, question, turn}.run();
}

bool Zone::owns(std::string_view name) const {
    if (labels_before(name, options_.domain)) return true;
    const auto labels = labels_before(name, reverse_domain);
    const auto address = labels ? reversed_address(*labels) : std::nullopt;
    return address && std::ranges::any_of(options_.ranges, [&](const Ipv4Range& range) {
               return range.contains(*address);
           });
}

}   // namespace skiff::dns

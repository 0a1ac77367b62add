// LimitRanger: what the limit ranges of a namespace give to containers that say nothing, and what
// they refuse to pods, containers and claims.
#include <algorithm>
#include <cstdio>
#include <limits>
#include <tuple>

#include "api/pod_defaults.h"
#include "api/quantity.h"
#include "apiserver/admission_plugins.h"
#include "apiserver/pod_resources.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

using api::Quantity;

constexpr std::string_view told_annotation = "kubernetes.io/limit-ranger";

// Limit ranges of the namespace, by name.
Result<std::vector<Document>> ranges_of(const Admission& admission) {
    std::vector<Document> ranges;
    Result<> parsed{};
    admission.registry.parts()
        .store.view(admission.registry.core("limitranges").resource)
        .scan(concat(admission.name_space, "/"), {},
              [&](std::string_view, const store::ObjectPtr& object) {
                  auto document = parse_stored(*object);
                  if (document)
                      ranges.push_back(std::move(*document));
                  else
                      parsed = std::unexpected{document.error()};
                  return parsed.has_value();
              });
    TRY_OK(std::move(parsed));
    return ranges;
}

std::span<const Json> items_of(const Document& range) {
    const auto* limits = range.root.at_path({"spec", "limits"});
    return limits ? limits->items() : std::span<const Json>{};
}

// Fills what the list lacks of `from`; the names of what was filled, sorted.
std::vector<std::string> fill(Json& resources, std::string_view list, const Json* from,
                              Arena& arena) {
    std::vector<std::string> filled;
    if (!from || from->empty()) return filled;
    auto& into = resources.make_object(arena, list);
    for (const auto& [name, amount] : from->members()) {
        if (into.find(name)) continue;
        into.set(arena, name, Json::string(arena, amount.text()));
        filled.emplace_back(name);
    }
    std::ranges::sort(filled);
    return filled;
}

// Defaults for one container; what was done, in words.
void fill_container(Json& container, const Json& item, std::string_view what, Arena& arena,
                    std::vector<std::string>& told) {
    auto& resources = container.make_object(arena, "resources");
    const auto name = container.text_at({"name"});
    for (const auto& [list, from, word] : {std::tuple{"requests", "defaultRequest", "request"},
                                           std::tuple{"limits", "default", "limit"}}) {
        const auto filled = fill(resources, list, item.find(from), arena);
        if (!filled.empty())
            told.push_back(concat(join(filled, ", "), " ", word, " for ", what, " ", name));
    }
}

bool fill_pod(Document& pod, const Document& range) {
    std::vector<std::string> told;
    auto& spec = pod.root.make_object(pod.arena, "spec");
    for (const auto& item : items_of(range)) {
        if (item.text_at({"type"}) != "Container") continue;
        for (const auto& [list, what] :
             {std::pair{"containers", "container"}, std::pair{"initContainers", "init container"}})
            if (auto* containers = spec.find(list))
                for (auto& container : containers->items())
                    fill_container(container, item, what, pod.arena, told);
    }
    if (told.empty()) return false;
    auto& annotations = metadata_of(pod.root, pod.arena).make_object(pod.arena, "annotations");
    annotations.set_borrowed(
        pod.arena, told_annotation,
        Json::string(pod.arena, concat("LimitRanger plugin set: ", join(told, "; "))));
    return true;
}

// What one object of a type asks for.
struct Asked {
    std::string_view type;   // Container, Pod, PersistentVolumeClaim
    ResourceAmounts requests, limits;
};

const Quantity* amount_of(const ResourceAmounts& amounts, std::string_view name) {
    const auto found = amounts.find(name);
    return found == amounts.end() ? nullptr : &found->second;
}

void check_min(const Asked& asked, std::string_view resource, const Quantity& least,
               std::vector<std::string>& problems) {
    const auto* request = amount_of(asked.requests, resource);
    const auto* limit = amount_of(asked.limits, resource);
    const auto start =
        concat("minimum ", resource, " usage per ", asked.type, " is ", least.canonical());
    if (!request)
        problems.push_back(concat(start, ".  No request is specified"));
    else if (*request < least)
        problems.push_back(concat(start, ", but request is ", request->canonical()));
    else if (limit && *limit < least)
        problems.push_back(concat(start, ", but limit is ", limit->canonical()));
}

void check_max(const Asked& asked, std::string_view resource, const Quantity& most,
               std::vector<std::string>& problems) {
    const auto* request = amount_of(asked.requests, resource);
    const auto* limit = amount_of(asked.limits, resource);
    const auto start =
        concat("maximum ", resource, " usage per ", asked.type, " is ", most.canonical());
    if (asked.type == "PersistentVolumeClaim") {   // has no limits
        if (!request)
            problems.push_back(concat(start, ".  No request is specified"));
        else if (*request > most)
            problems.push_back(concat(start, ", but request is ", request->canonical()));
        return;
    }
    if (!limit)
        problems.push_back(concat(start, ".  No limit is specified"));
    else if (*limit > most)
        problems.push_back(concat(start, ", but limit is ", limit->canonical()));
    else if (request && *request > most)
        problems.push_back(concat(start, ", but request is ", request->canonical()));
}

void check_ratio(const Asked& asked, std::string_view resource, const Quantity& most,
                 std::vector<std::string>& problems) {
    const auto* request = amount_of(asked.requests, resource);
    const auto* limit = amount_of(asked.limits, resource);
    const auto start =
        concat(resource, " max limit to request ratio per ", asked.type, " is ", most.canonical());
    const Quantity zero;
    if (!request || *request == zero)
        return problems.push_back(concat(start, ", but no request is specified or request is 0"));
    if (!limit || *limit == zero)
        return problems.push_back(concat(start, ", but no limit is specified or limit is 0"));
    const auto number = [](const Quantity& quantity) {
        const auto milli = quantity.milli_value();
        const bool fits = milli != std::numeric_limits<int64_t>::max();
        return fits ? static_cast<double>(milli) : static_cast<double>(quantity.value()) * 1000.0;
    };
    const double ratio = number(*limit) / number(*request);
    if (ratio <= number(most) / 1000.0) return;
    char text[64];
    std::snprintf(text, sizeof text, "%f", ratio);
    problems.push_back(concat(start, ", but provided ratio is ", text));
}

using Check = void (*)(const Asked&, std::string_view, const Quantity&, std::vector<std::string>&);

void check(const Asked& asked, const Json& item, std::vector<std::string>& problems) {
    for (const auto& [list, rule] :
         {std::pair{"min", Check{check_min}}, std::pair{"max", Check{check_max}},
          std::pair{"maxLimitRequestRatio", Check{check_ratio}}}) {
        const auto* bounds = item.find(list);
        if (!bounds) continue;
        for (const auto& [resource, amount] : bounds->members())
            if (const auto bound = Quantity::parse(amount.text()))
                rule(asked, resource, *bound, problems);
    }
}

std::vector<Asked> asked_by(const Json& object, bool claim) {
    std::vector<Asked> asked;
    const auto* spec = object.find("spec");
    if (!spec) return asked;
    if (claim) {
        asked.push_back(
            {"PersistentVolumeClaim", amounts_in(spec->at_path({"resources", "requests"})), {}});
        return asked;
    }
    for (const std::string_view list : {"containers", "initContainers"})
        if (const auto* containers = spec->find(list))
            for (const auto& container : containers->items())
                asked.push_back({"Container",
                                 amounts_in(container.at_path({"resources", "requests"})),
                                 amounts_in(container.at_path({"resources", "limits"}))});
    asked.push_back({"Pod", pod_amounts(*spec, "requests"), pod_amounts(*spec, "limits")});
    return asked;
}

}   // namespace

Result<> limit_ranger(Admission& admission) {
    const auto& kind = *admission.resource.stored;
    const bool pod = kind.kind == "Pod", claim = kind.kind == "PersistentVolumeClaim";
    if (!kind.group.empty() || (!pod && !claim) || !admission.document) return {};
    const bool creates = admission.operation == "CREATE" && admission.subresource.empty();
    const bool updates =
        admission.operation == "UPDATE" && admission.subresource == (pod ? "resize" : "");
    if (!creates && !updates) return {};
    if (updates && admission.old && being_deleted(*admission.old)) return {};
    TRY(const auto ranges, ranges_of(admission));
    if (ranges.empty()) return {};
    auto& document = *admission.document;
    bool filled = false;
    for (const auto& range : ranges)
        if (pod && creates) filled |= fill_pod(document, range);
    if (filled) {   // what is asked for decides the class
        const auto quality = api::qos_class_of(*document.root.find("spec"));
        document.root.make_object(document.arena, "status")
            .set_borrowed(document.arena, "qosClass", Json::borrowed(quality));
    }
    std::vector<std::string> problems;
    const auto all = asked_by(document.root, claim);
    for (const auto& range : ranges)
        for (const auto& item : items_of(range))
            for (const auto& asked : all)
                if (item.text_at({"type"}) == asked.type) check(asked, item, problems);
    if (problems.empty()) return {};
    std::ranges::sort(problems);
    const auto [same, end] = std::ranges::unique(problems);
    problems.erase(same, end);
    return std::unexpected{denied(admission, problems.size() == 1
                                                 ? problems.front()
                                                 : concat("[", join(problems, ", "), "]"))};
}

}   // namespace skiff::apiserver

#include "apiserver/policy_rule.h"

#include <algorithm>

#include "base/text.h"
#include "codec/json_text.h"

namespace skiff::apiserver {
namespace {

using codec::Json;
using Texts = std::vector<std::string>;

Texts texts_in(const Json& object, std::string_view key) {
    Texts texts;
    if (const auto* list = object.find(key))
        for (const auto& item : list->items()) texts.emplace_back(item.text());
    return texts;
}

bool has(const Texts& list, std::string_view word) {
    return std::ranges::any_of(list,
                               [&](const auto& entry) { return entry == "*" || entry == word; });
}

bool has_resource(const Texts& resources, std::string_view resource, std::string_view subresource) {
    if (subresource.empty()) return has(resources, resource);
    const auto combined = concat(resource, "/", subresource);
    const auto every = concat("*/", subresource);
    return std::ranges::any_of(resources, [&](const auto& entry) {
        return entry == "*" || entry == combined || entry == every;
    });
}

bool has_url(const Texts& urls, std::string_view path) {
    return std::ranges::any_of(urls, [&](const std::string& url) {
        if (url == "*" || url == path) return true;
        return url.ends_with('*') && path.starts_with(url.substr(0, url.size() - 1));
    });
}

// Everything that `wanted` says is said by `held` too.
bool covers(const Texts& held, const Texts& wanted) {
    return std::ranges::all_of(wanted, [&](const auto& word) { return has(held, word); });
}

bool covers_resources(const Texts& held, const Texts& wanted) {
    return std::ranges::all_of(wanted, [&](const std::string& word) {
        const auto slash = word.find('/');
        if (slash == std::string::npos) return has(held, word);
        return has_resource(held, word.substr(0, slash), word.substr(slash + 1));
    });
}

bool covers(const PolicyRule& held, const PolicyRule& wanted) {
    const bool names =
        held.resource_names.empty() ||
        (!wanted.resource_names.empty() &&
         std::ranges::all_of(wanted.resource_names, [&](const auto& name) {
             return std::ranges::find(held.resource_names, name) != held.resource_names.end();
         }));
    return covers(held.verbs, wanted.verbs) && covers(held.api_groups, wanted.api_groups) &&
           covers_resources(held.resources, wanted.resources) && names &&
           std::ranges::all_of(wanted.non_resource_urls, [&](const auto& url) {
               return has_url(held.non_resource_urls, url);
           });
}

// A rule as the single grants that it is made of.
std::vector<PolicyRule> single_grants(const PolicyRule& rule) {
    std::vector<PolicyRule> out;
    for (const auto& verb : rule.verbs) {
        for (const auto& group : rule.api_groups) {
            for (const auto& resource : rule.resources) {
                PolicyRule one{.verbs = {verb}, .api_groups = {group}, .resources = {resource}};
                if (rule.resource_names.empty()) out.push_back(one);
                for (const auto& name : rule.resource_names) {
                    out.push_back(one);
                    out.back().resource_names = {name};
                }
            }
        }
        for (const auto& url : rule.non_resource_urls)
            out.push_back({.verbs = {verb}, .non_resource_urls = {url}});
    }
    return out;
}

struct Part {
    std::string_view wire;
    std::string_view shown;
    Texts PolicyRule::*texts;
};
constexpr Part parts[] = {
    {"apiGroups", "APIGroups", &PolicyRule::api_groups},
    {"resources", "Resources", &PolicyRule::resources},
    {"resourceNames", "ResourceNames", &PolicyRule::resource_names},
    {"nonResourceURLs", "NonResourceURLs", &PolicyRule::non_resource_urls},
    {"verbs", "Verbs", &PolicyRule::verbs},
};

}   // namespace

std::vector<PolicyRule> policy_rules_of(const Json& role) {
    std::vector<PolicyRule> out;
    const auto* list = role.find("rules");
    if (!list) return out;
    for (const auto& item : list->items()) {
        auto& rule = out.emplace_back();
        for (const auto& part : parts) rule.*part.texts = texts_in(item, part.wire);
    }
    return out;
}

bool allows(const PolicyRule& rule, const Question& question) {
    if (!has(rule.verbs, question.verb)) return false;
    if (!question.is_resource) return has_url(rule.non_resource_urls, question.path);
    return has(rule.api_groups, question.group) &&
           has_resource(rule.resources, question.resource, question.subresource) &&
           (rule.resource_names.empty() ||
            std::ranges::find(rule.resource_names, question.name) != rule.resource_names.end());
}

std::vector<PolicyRule> not_covered(std::span<const PolicyRule> held,
                                    std::span<const PolicyRule> wanted) {
    std::vector<PolicyRule> out;
    for (const auto& rule : wanted)
        for (auto& one : single_grants(rule))
            if (std::ranges::none_of(held, [&](const auto& mine) { return covers(mine, one); }))
                out.push_back(std::move(one));
    return out;
}

std::string json_of(const PolicyRule& rule) {
    std::string out;
    for (const auto& part : parts)
        if (!(rule.*part.texts).empty())
            append(out, out.empty() ? "{" : ",", '"', part.wire,
                   "\":", codec::quoted_list(rule.*part.texts));
    return out.empty() ? R"({"verbs":[]})" : out + "}";
}

std::string text_of(const PolicyRule& rule) {
    std::string out;
    for (const auto& part : parts)
        if (!(rule.*part.texts).empty())
            append(out, out.empty() ? "{" : ", ", part.shown, ':',
                   codec::quoted_list(rule.*part.texts));
    return out + "}";
}

}   // namespace skiff::apiserver

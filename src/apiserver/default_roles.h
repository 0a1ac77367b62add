// The default roles as a table. Lists are comma-separated, "core" is the group "".
#pragma once

#include <span>
#include <string_view>

namespace skiff::apiserver {

struct DefaultRule {
    std::string_view verbs;
    std::string_view groups;
    std::string_view resources;
    std::string_view urls{};
    std::string_view names{};
};
struct DefaultRole {
    std::string_view name;
    std::span<const DefaultRule> rules;
    std::string_view label{};        // "edit": gives its rules to the role that gathers these
    std::string_view aggregates{};   // "edit": gathers the rules of all that carry that label
    std::string_view subject{};      // "group:…", "user:…": bound to them by its own name
    std::string_view name_space{};   // a Role of it
    std::string_view binding{};      // where the binding has another name
};
std::span<const DefaultRole> default_roles();
std::span<const DefaultRole> default_namespaced_roles();
const DefaultRole& compat_2017_role();

}   // namespace skiff::apiserver

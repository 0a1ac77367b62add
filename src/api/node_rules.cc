// Nodes.
#include <set>
#include <string>

#include "api/field_errors.h"
#include "api/json_fields.h"
#include "api/kind_rules.h"
#include "api/names.h"
#include "api/quantity.h"
#include "api/selectable.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

void validate_taints(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto taints = field(spec, "taints").items();
    std::set<std::pair<std::string_view, std::string_view>> seen;
    for (size_t i = 0; i < taints.size(); ++i) {
        const FieldPath entry = path.child("taints", i);
        const auto key = text_of(taints[i], "key");
        const auto value = text_of(taints[i], "value");
        const auto effect = text_of(taints[i], "effect");
        if (!key.empty()) add_unless_ok(causes, entry.child("key"), key, check_qualified_name(key));
        add_unless_ok(causes, entry.child("value"), value, check_label_value(value));
        if (!seen.insert({key, effect}).second) add_duplicate(causes, entry, taints[i]);
    }
}

void validate_pod_cidrs(const Json& spec, const FieldPath& path, Causes& causes) {
    const auto cidrs = field(spec, "podCIDRs").items();
    for (size_t i = 0; i < cidrs.size(); ++i)
        add_unless_ok(causes, path.child("podCIDRs", i), cidrs[i].text(),
                      check_format(Format::Cidr, cidrs[i].text()));
    if (cidrs.size() > 2)
        add_invalid(causes, path.child("podCIDRs"), field(spec, "podCIDRs"),
                    "may specify no more than one CIDR for each IP family");
}

void validate_amounts(const Json& node, Causes& causes) {
    const FieldPath status{"status"};
    for (const std::string_view list : {"capacity", "allocatable"}) {
        for (const auto& [name, value] : field(node, "status", list).members()) {
            const FieldPath list_path = status.child(list, name);
            const auto amount = Quantity::parse(value.text());
            if (amount && amount->is_negative())
                add_invalid(causes, list_path, value.text(), not_negative_message);
        }
    }
}

void validate_addresses(const Json& node, Causes& causes) {
    const FieldPath status{"status"};
    const auto addresses = field(node, "status", "addresses").items();
    std::set<std::pair<std::string_view, std::string_view>> seen;
    for (size_t i = 0; i < addresses.size(); ++i)
        if (!seen.insert({text_of(addresses[i], "type"), text_of(addresses[i], "address")}).second)
            add_duplicate(causes, status.child("addresses", i), addresses[i]);
}

// Set once by whoever hands out addresses or knows the cloud, then fixed.
void validate_set_once(const Json& spec, const Json& old, Causes& causes) {
    const FieldPath path{"spec"};
    if (!blank(field(old, "podCIDRs")) && !(field(old, "podCIDRs") == field(spec, "podCIDRs")))
        add_forbidden(causes, path.child("podCIDRs"),
                      "node updates may not change podCIDR except from \"\" to valid");
    const auto provider = text_of(old, "providerID");
    if (!provider.empty() && provider != text_of(spec, "providerID"))
        add_forbidden(causes, path.child("providerID"),
                      "node updates may not change providerID except from \"\" to valid");
}

void validate(const Json& node, const Json* old, Causes& causes) {
    const FieldPath path{"spec"};
    const Json& spec = field(node, "spec");
    validate_taints(spec, path, causes);
    validate_pod_cidrs(spec, path, causes);
    validate_amounts(node, causes);
    validate_addresses(node, causes);
    if (old) validate_set_once(spec, field(*old, "spec"), causes);
}

void validate_status(const Json& node, const Json*, Causes& causes) {
    validate_amounts(node, causes);
    validate_addresses(node, causes);
}

// A node's agent creates it with its status: there is nothing to reset.
void prepare(Json&, const Json*, Arena&) {}

// podCIDR and the first of podCIDRs always say the same.
void default_node(Json& node, Arena& arena) {
    Json* spec = node.find("spec");
    if (!spec || !spec->is_object()) return;
    const Json one = field(*spec, "podCIDR");
    const Json many = field(*spec, "podCIDRs");
    if (!blank(one) && blank(many))
        spec->make_array(arena, "podCIDRs").push(arena, one);
    else if (!blank(many) && blank(one))
        spec->set_borrowed(arena, "podCIDR", many.items()[0]);
}

}   // namespace

const Rules node_rules{
    .defaults = default_node,
    .prepare = prepare,
    .validate = validate,
    .validate_status = validate_status,
    .selectable = selectable_with_flags,
};

}   // namespace skiff::api

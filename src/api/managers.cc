#include "api/managers.h"

#include <algorithm>
#include <tuple>

#include "api/field_set.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Arena;
using codec::Json;

constexpr size_t update_entries_max = 10;
constexpr size_t name_bytes_max = 128;
constexpr std::string_view ancient = "ancient-changes";

bool is_reset(const Json* list) {
    if (!list || !list->is_array()) return false;
    return list->empty() ||
           (list->size() == 1 && list->items()[0].is_object() && list->items()[0].empty());
}

}   // namespace

bool Manager::is(const ManagerId& id) const {
    const auto wanted = id.name.empty() ? std::string_view{"unknown"} : id.name;
    return name == wanted.substr(0, name_bytes_max) && operation == id.operation &&
           subresource == id.subresource && (operation == "Apply" || api_version == id.api_version);
}

std::string Manager::shown() const {
    std::string text = concat("\"", name, "\"");
    if (!subresource.empty()) append(text, " with subresource \"", subresource, "\"");
    if (operation == "Update") append(text, " using ", api_version);
    return text;
}

bool Managers::read(const Json* list) {
    if (!list || !list->is_array()) return false;
    for (const Json& entry : list->items()) {
        Manager manager{.name = std::string{entry.text_at({"manager"})},
                        .operation = std::string{entry.text_at({"operation"})},
                        .api_version = std::string{entry.text_at({"apiVersion"})},
                        .subresource = std::string{entry.text_at({"subresource"})},
                        .time = std::string{entry.text_at({"time"})}};
        const bool known = manager.operation == "Apply" || manager.operation == "Update";
        if (!known || manager.api_version.empty() || entry.text_at({"fieldsType"}) != "FieldsV1") {
            entries_.clear();
            return false;
        }
        const Json* fields = entry.find("fieldsV1");
        if (fields && fields->is_object()) manager.fields = *fields;
        entries_.push_back(std::move(manager));
    }
    return !entries_.empty();
}

Managers Managers::of_live(const Json* object, Arena& arena) {
    Managers managers{arena};
    if (object) managers.read(object->at_path({"metadata", "managedFields"}));
    return managers;
}

Managers Managers::of_update(const Json* before, const Json& after, std::string_view subresource,
                             Arena& arena) {
    if (subresource.empty()) {
        const Json* brought = after.at_path({"metadata", "managedFields"});
        Managers managers{arena};
        if (is_reset(brought) || managers.read(brought)) return managers;
    }
    return of_live(before, arena);
}

Manager* Managers::find(const ManagerId& id) {
    const auto at = std::ranges::find_if(entries_, [&](const auto& entry) { return entry.is(id); });
    return at == entries_.end() ? nullptr : &*at;
}

void Managers::make_own(Manager& manager) {
    if (manager.own) return;
    manager.fields = manager.fields.deep_copy(arena_);
    manager.own = true;
}

Manager& Managers::entry(const ManagerId& id) {
    Manager* found = find(id);
    if (!found) {
        const auto name = id.name.empty() ? std::string_view{"unknown"} : id.name;
        entries_.push_back({.name = std::string{name.substr(0, name_bytes_max)},
                            .operation = std::string{id.operation},
                            .subresource = std::string{id.subresource},
                            .own = true});
        found = &entries_.back();
    }
    found->api_version = id.api_version;
    make_own(*found);
    return *found;
}

void Managers::take_away(const Json& fields, const Manager* but) {
    if (fields.empty()) return;
    for (Manager& manager : entries_) {
        if (&manager == but || !overlaps(manager.fields, fields)) continue;
        make_own(manager);
        subtract(manager.fields, fields);
    }
}

void Managers::cap_updates() {
    std::erase_if(entries_, [](const Manager& manager) { return manager.fields.empty(); });
    std::vector<size_t> updates;
    for (size_t i = 0; i < entries_.size(); ++i)
        if (entries_[i].operation == "Update") updates.push_back(i);
    if (updates.size() <= update_entries_max) return;
    std::ranges::sort(updates, {},
                      [&](size_t i) { return std::tie(entries_[i].time, entries_[i].name); });
    // The oldest of each version takes in the next ones until there are few enough.
    size_t left = updates.size();
    for (size_t i = 0; i < updates.size() && left > update_entries_max; ++i) {
        Manager& old = entries_[updates[i]];
        Manager* bucket = nullptr;
        for (size_t j = 0; j < i && !bucket; ++j) {
            Manager& older = entries_[updates[j]];
            if (older.api_version == old.api_version && !older.fields.empty()) bucket = &older;
        }
        if (!bucket) continue;
        make_own(*bucket);
        unite(bucket->fields, old.fields, arena_);
        bucket->name = ancient;
        bucket->subresource.clear();
        bucket->time = old.time;
        old.fields = Json::object();
        --left;
    }
    std::erase_if(entries_, [](const Manager& manager) { return manager.fields.empty(); });
}

void Managers::write_to(Json& metadata) {
    std::erase_if(entries_, [](const Manager& manager) { return manager.fields.empty(); });
    if (entries_.empty()) {
        metadata.remove("managedFields");
        return;
    }
    std::ranges::sort(entries_, {}, [](const Manager& manager) {
        return std::tie(manager.operation, manager.time, manager.name, manager.api_version,
                        manager.subresource);
    });
    Json list = Json::array();
    for (Manager& manager : entries_) {
        Json entry = Json::object();
        const auto text = [&](std::string_view key, std::string_view value) {
            if (!value.empty()) entry.set_borrowed(arena_, key, Json::string(arena_, value));
        };
        text("manager", manager.name);
        text("operation", manager.operation);
        text("apiVersion", manager.api_version);
        text("time", manager.time);
        text("fieldsType", "FieldsV1");
        if (manager.own) sort_set(manager.fields);
        entry.set_borrowed(arena_, "fieldsV1",
                           manager.own ? manager.fields : manager.fields.deep_copy(arena_));
        text("subresource", manager.subresource);
        list.push(arena_, entry);
    }
    metadata.set_borrowed(arena_, "managedFields", list);
}

}   // namespace skiff::api

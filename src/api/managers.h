// The entries of metadata.managedFields while a write is recorded: who owns what.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace skiff::api {

struct ManagerId {
    std::string_view name;
    std::string_view operation;     // "Apply" or "Update"
    std::string_view api_version;   // tells Update entries apart, not Apply's
    std::string_view subresource;
};

struct Manager {
    std::string name;
    std::string operation;
    std::string api_version;
    std::string subresource;
    std::string time;                             // "" none
    codec::Json fields = codec::Json::object();   // shared with the object until it is `own`
    bool own = false;

    bool is(const ManagerId& id) const;
    std::string shown() const;   // "kubectl" with subresource "status" using v1
};

class Managers {
  public:
    // As the live object has them; of an object that is not understood, none.
    static Managers of_live(const codec::Json* object, codec::Arena& arena);
    // The client may bring a list of its own; [] and [{}] forget all of them.
    static Managers of_update(const codec::Json* before, const codec::Json& after,
                              std::string_view subresource, codec::Arena& arena);

    bool empty() const { return entries_.empty(); }
    std::vector<Manager>& entries() { return entries_; }
    Manager* find(const ManagerId& id);
    Manager& entry(const ManagerId& id);   // made when absent; its fields may be changed
    void take_away(const codec::Json& fields, const Manager* but = nullptr);
    // At most ten Update entries: the oldest of a version become "ancient-changes".
    void cap_updates();
    void write_to(codec::Json& metadata);   // drops empty entries, sorts as upstream

  private:
    explicit Managers(codec::Arena& arena) : arena_{arena} {}
    bool read(const codec::Json* list);   // false: not understood
    void make_own(Manager& manager);

    codec::Arena& arena_;
    std::vector<Manager> entries_;
};

}   // namespace skiff::api

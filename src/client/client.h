// The typed client: objects as views (api/view.h), calls that block their task. Made once a
// component with that component's own identity behind the transport.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/view.h"
#include "client/json_scan.h"
#include "client/object_key.h"
#include "client/transport.h"
#include "codec/json.h"

namespace skiff::client {

template <class V>
constexpr ResourceName resource_of() {
    return {V::group, V::version, V::resource};
}
enum class PatchType : uint8_t { Json, Merge, StrategicMerge, Apply };

struct DeletePreconditions {
    std::string uid;
    std::string resource_version;
    std::optional<int64_t> grace_period_seconds;
    std::string propagation_policy;
};

class Client {
  public:
    Client(Executor& executor, Transport& transport, std::string field_manager)
        : executor_{executor}, transport_{transport}, field_manager_{std::move(field_manager)} {}

    template <class V>
    Result<V> get(const ObjectKey& key) {
        TRY(auto text, get_text(resource_of<V>(), key));
        return api::decode<V>(text);
    }
    template <class V>
    Result<V> create(const V& object, std::string_view name_space) {
        TRY(auto text, create_text(resource_of<V>(), name_space, text_of(object)));
        return api::decode<V>(text);
    }
    // The whole object is what the view says: only for views that hold all they would lose.
    template <class V>
    Result<V> update(const V& object, const ObjectKey& key, std::string_view subresource = {}) {
        TRY(auto text, update_text(resource_of<V>(), key, text_of(object), subresource));
        return api::decode<V>(text);
    }
    template <class V>
    Result<V> update_status(const V& object, const ObjectKey& key) {
        return update(object, key, "status");
    }
    template <class V>
    Result<V> patch(const ObjectKey& key, PatchType type, std::string patch,
                    std::string_view subresource = {}) {
        TRY(auto text, patch_text(resource_of<V>(), key, type, std::move(patch), subresource));
        return api::decode<V>(text);
    }
    template <class V>
    Result<> remove(const ObjectKey& key, const DeletePreconditions& preconditions = {}) {
        return remove_text(resource_of<V>(), key, preconditions);
    }
    template <class V>
    Result<std::vector<V>> list(std::string_view name_space, const ListQuery& query = {}) {
        TRY(const Bytes text, list_text(resource_of<V>(), name_space, query));
        TRY(const ListPage page, list_page_of(text));
        std::vector<V> objects;
        objects.reserve(page.items.size());
        for (const auto item : page.items) {
            TRY(V object, api::decode<V>(item));
            objects.push_back(std::move(object));
        }
        return objects;
    }

    // The requests of the writes below, for who sends them by himself.
    ApiRequest create_request(const ResourceName& resource, std::string_view name_space,
                              std::string body, std::string_view name = {},
                              std::string_view subresource = {}) const;
    ApiRequest update_request(const ResourceName& resource, const ObjectKey& key, std::string body,
                              std::string_view subresource = {}) const;
    ApiRequest patch_request(const ResourceName& resource, const ObjectKey& key, PatchType type,
                             std::string patch, std::string_view subresource = {}) const;
    static ApiRequest remove_request(const ResourceName& resource, const ObjectKey& key,
                                     const DeletePreconditions& preconditions);

    Result<Bytes> get_text(const ResourceName& resource, const ObjectKey& key);
    Result<Bytes> create_text(const ResourceName& resource, std::string_view name_space,
                              std::string body, std::string_view name = {},
                              std::string_view subresource = {});
    Result<Bytes> update_text(const ResourceName& resource, const ObjectKey& key, std::string body,
                              std::string_view subresource = {});
    Result<Bytes> patch_text(const ResourceName& resource, const ObjectKey& key, PatchType type,
                             std::string patch, std::string_view subresource = {});
    Result<> remove_text(const ResourceName& resource, const ObjectKey& key,
                         const DeletePreconditions& preconditions);
    // What the delete answered: a Status, or the object when it goes on for a while.
    Result<Bytes> remove_for_answer(const ResourceName& resource, const ObjectKey& key,
                                    const DeletePreconditions& preconditions);
    Result<Bytes> list_text(const ResourceName& resource, std::string_view name_space,
                            const ListQuery& query);   // one List object, pages followed
    // Waits and asks again while the server is too busy (429), a few times.
    Result<ApiResponse> call(ApiRequest request);

    Executor& executor() { return executor_; }
    Transport& transport() { return transport_; }
    const std::string& field_manager() const { return field_manager_; }

  private:
    template <class V>
    static std::string text_of(const V& object) {
        codec::Arena arena;
        return codec::to_json(api::encode(object, arena));
    }

    Executor& executor_;
    Transport& transport_;
    std::string field_manager_;
};

}   // namespace skiff::client

// The typed halves of informer.h: casts between views and what InformerCore holds.
#pragma once

namespace skiff::client {
namespace detail {

template <class V>
Result<AnyObject> decode_shared(std::string_view json) {
    auto view = std::make_shared<V>();
    TRY_OK(api::decode_view(V::table(), json, view.get()));
    return AnyObject{std::move(view)};
}
template <class V>
Shared<V> typed(const AnyObject& object) {
    return std::static_pointer_cast<const V>(object);
}
template <class V>
std::vector<Shared<V>> typed(std::vector<AnyObject> objects) {
    std::vector<Shared<V>> views;
    views.reserve(objects.size());
    for (auto& object : objects)
        views.push_back(std::static_pointer_cast<const V>(std::move(object)));
    return views;
}

}   // namespace detail

template <class V>
Informer<V>::Informer(Executor& executor, Random& random, Transport& transport,
                      InformerOptions options)
    : core_{{executor, random, transport, resource_of<V>(), &detail::decode_shared<V>},
            std::move(options)} {}

template <class V>
void Informer<V>::add_index(std::string name, IndexKeys keys) {
    core_.cache().add_index(std::move(name), [keys = std::move(keys)](const void* object) {
        return keys(*static_cast<const V*>(object));
    });
}
template <class V>
void Informer<V>::on_change(Handler handler) {
    core_.on_change([handler = std::move(handler)](const AnyObject& old, const AnyObject& now) {
        handler(detail::typed<V>(old), detail::typed<V>(now));
    });
}
template <class V>
void Informer<V>::start() {
    core_.start();
}
template <class V>
bool Informer<V>::synced() const {
    return core_.synced();
}
template <class V>
void Informer<V>::on_synced(std::function<void()> call) {
    core_.on_synced(std::move(call));
}
template <class V>
bool Informer<V>::reached(const ObjectKey& key, std::string_view resource_version) const {
    return core_.reached(key, resource_version);
}
template <class V>
Shared<V> Informer<V>::find(const ObjectKey& key) const {
    return detail::typed<V>(core_.cache().find(key));
}
template <class V>
std::vector<Shared<V>> Informer<V>::all() const {
    return detail::typed<V>(core_.cache().all());
}
template <class V>
std::vector<Shared<V>> Informer<V>::in_namespace(std::string_view name_space) const {
    return by_index(ObjectCache::by_namespace, name_space);
}
template <class V>
std::vector<Shared<V>> Informer<V>::owned_by(std::string_view owner_uid) const {
    return by_index(ObjectCache::by_owner, owner_uid);
}
template <class V>
std::vector<Shared<V>> Informer<V>::by_index(std::string_view index, std::string_view key) const {
    return detail::typed<V>(core_.cache().by_index(index, key));
}
template <class V>
size_t Informer<V>::size() const {
    return core_.cache().size();
}

}   // namespace skiff::client

#include "store/object.h"

#include "base/text.h"

namespace skiff::store {
namespace {

// `"resourceVersion":"7",` or, when the object is empty otherwise, the same without the comma.
std::string splice_of(Revision revision, bool comma) {
    return concat("\"resourceVersion\":\"", revision.value, comma ? "\"," : "\"");
}

}   // namespace

ObjectPtr make_object(ObjectParts parts) {
    Object object{.splice_at = parts.splice_at,
                  .created = parts.created,
                  .modified = parts.modified,
                  .schema_revision = parts.schema_revision,
                  .rows_after = parts.rows_after,
                  .attributes = std::move(parts.attributes)};
    if (parts.splice_at == 0) {
        object.text = Bytes{parts.text};
    } else {
        const auto tail = parts.text.substr(parts.splice_at);
        const auto splice = splice_of(parts.modified, !tail.starts_with('}'));
        object.text = Bytes::join({parts.text.substr(0, parts.splice_at), splice, tail});
        object.splice_size = static_cast<uint32_t>(splice.size());
    }
    return std::make_shared<const Object>(std::move(object));
}

ObjectPtr deleted_object(const Object& last, Revision deletion) {
    Object object = last;
    object.text = last.with_revision(deletion);
    object.splice_size =
        static_cast<uint32_t>(last.splice_size + object.text.size() - last.text.size());
    object.modified = deletion;
    return std::make_shared<const Object>(std::move(object));
}

Bytes Object::with_revision(Revision revision) const {
    if (splice_size == 0) return text;
    const auto whole = text.view();
    const auto splice = splice_of(revision, whole[splice_at + splice_size - 1] == ',');
    return Bytes::join({whole.substr(0, splice_at), splice, whole.substr(splice_at + splice_size)});
}

std::string Object::without_revision() const {
    std::string plain{text.view()};
    plain.erase(splice_at, splice_size);
    return plain;
}

}   // namespace skiff::store

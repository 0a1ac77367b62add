// How stored objects are made: the revision spliced into the text.
#pragma once

#include <string_view>

#include "store/store.h"

namespace skiff::store {

struct ObjectParts {
    std::string_view text;   // without resourceVersion
    uint32_t splice_at = 0;
    Revision created;
    Revision modified;
    uint32_t rows_after = 0;
    uint32_t schema_revision = 0;
    std::shared_ptr<const Attributes> attributes;
};
ObjectPtr make_object(ObjectParts parts);

// The object as its deletion's event shows it: the last state at the deletion's revision.
ObjectPtr deleted_object(const Object& last, Revision deletion);

}   // namespace skiff::store

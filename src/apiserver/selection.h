// Which objects of a list or watch are meant: namespace, label and field selectors, decided on
// what the store keeps beside the bytes.
#pragma once

#include <string>

#include "api/selectors.h"
#include "apiserver/call.h"
#include "apiserver/catalog.h"
#include "store/store.h"

namespace skiff::apiserver {

struct Selection {
    std::string prefix;   // of store names: "namespace/" or ""
    api::LabelSelector labels;
    api::FieldSelector fields;
    bool everything = true;

    bool matches(const store::Object& object) const;
};
// BadRequest for selectors that don't parse or name a field that can't be selected by.
Result<Selection> selection_of(const Call& call, const ServedResource& resource);

}   // namespace skiff::apiserver

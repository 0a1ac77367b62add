// Objects as trees between decoding and storing: metadata, and the stored text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/schema.h"
#include "apiserver/catalog.h"
#include "base/time.h"
#include "codec/json.h"
#include "store/store.h"

namespace skiff::apiserver {

using codec::Arena;
using codec::Document;
using codec::Json;

// metadata's text member, "" when absent.
std::string_view metadata_text(const Json& object, std::string_view member);
Json& metadata_of(Json& object, Arena& arena);   // made when absent
const Json* metadata_of(const Json& object);     // null when absent
bool being_deleted(const Json& object);          // has a deletionTimestamp
bool has_finalizers(const Json& object);
int64_t generation_of(const Json& object);

std::vector<std::string> texts_of(const Json* list);   // of a list of texts; null: none
Json text_array(const std::vector<std::string>& texts, Arena& arena);

// The text that the store keeps: apiVersion, kind, metadata first and without resourceVersion.
struct StoredText {
    std::string text;
    uint32_t splice_at = 0;
};
StoredText stored_text(const Json& object, const api::Kind& kind);

// An object of a kind that is not stored, as if it were: what it says, no resourceVersion.
store::ObjectPtr made_object(const ServedResource& resource, const Json& object);

// An object parsed back, without resourceVersion.
Result<Document> parse_stored(const store::Object& object);
// The same with its resourceVersion, as a client sees it.
Result<Document> parse_current(const store::Object& object);

// "Pod "x" …" errors that several verbs give.
Error not_found(const ServedResource& resource, std::string_view name);
Error already_exists(const ServedResource& resource, std::string_view name);
Error conflict(const ServedResource& resource, std::string_view name, std::string_view why = {});
ErrorSubject subject_of(const ServedResource& resource, std::string_view name);

// The store's name of an object: "namespace/name" or "name".
std::string store_name(const ServedResource& resource, std::string_view name_space,
                       std::string_view name);

}   // namespace skiff::apiserver

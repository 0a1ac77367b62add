// Request bodies into trees, and answers out of trees or stored bytes, in the client's encoding.
#pragma once

#include <vector>

#include "apiserver/call.h"
#include "apiserver/objects.h"

namespace skiff::apiserver {

// JSON, YAML or Kubernetes' protobuf by Content-Type, checked to be of the wanted kind, unknown
// and duplicate fields treated as fieldValidation says; apiVersion and kind are taken off.
// `kind` is the served kind the body must have.
Result<Document> decode_body(Call& call, const api::Kind& kind);
// UnsupportedMediaType for a body that is compressed: none is unpacked, however little it seems.
Result<> refuse_compressed(const net::Headers& headers);
// Any message without a kind of its own to check against (DeleteOptions may name any group).
Result<Document> decode_options(Call& call, const api::Message& message);
// normalise + fieldValidation, for trees that did not come from a body (a patched object).
Result<> check_fields(Call& call, const api::Kind& kind, Document& document,
                      const std::vector<std::string>& duplicates, std::string_view patch_note = {});

// Answers with one stored object.
void answer_object(Call& call, int status, const store::ObjectPtr& object, WallTime now);
// Answers with a tree that is stored nowhere (reviews); apiVersion and kind are set from `kind`.
void answer_tree(Call& call, int status, const api::Kind& kind, Json& object, Arena& arena,
                 WallTime now);

// A stored object's tree in the served version, apiVersion and kind in it.
Result<Document> served_tree(const ServedResource& resource, const store::Object& object);
// A stored text as it goes into a list or a watch event: shared when served as stored.
Result<Slice> served_bytes(const ServedResource& resource, const Bytes& stored_text);
// {"kind":"PartialObjectMetadata",...,"metadata":{…}}
Json partial_metadata(const Json& object, std::string_view meta_version, Arena& arena);

net::Response encoded(const Call& call, int status, const Json& tree, const api::Kind* kind);
// A tree as a protobuf body: the k8s\0 envelope around the message.
Result<std::string> in_envelope(const api::Message& message, std::string_view api_version,
                                std::string_view kind, const Json& tree);

}   // namespace skiff::apiserver

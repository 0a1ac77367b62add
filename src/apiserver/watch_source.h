// A watch as an HTTP body: one JSON text a line, pulled by the connection as it can send.
#pragma once

#include "apiserver/call.h"
#include "apiserver/registry.h"

namespace skiff::apiserver {

// Answers the call with the stream, or with an error.
void serve_watch(const CallPtr& call, const RegistryParts& parts);

// {"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7"}}
std::string bookmark_object(const ServedResource& resource, store::Revision revision,
                            bool initial_end);

}   // namespace skiff::apiserver
